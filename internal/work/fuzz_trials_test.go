package work_test

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/work/worktest"
)

func FuzzWork(f *testing.F) { proof.Fuzz(f, worktest.Trials()...) }
