package roundtest

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
)

func FuzzRounds(f *testing.F) { proof.Fuzz(f, Trials()...) }
