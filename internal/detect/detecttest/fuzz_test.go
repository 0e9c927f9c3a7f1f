package detecttest

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
)

func FuzzDeaths(f *testing.F) { proof.Fuzz(f, Trials()...) }
