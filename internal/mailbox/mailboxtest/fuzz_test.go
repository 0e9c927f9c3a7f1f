package mailboxtest

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
)

func FuzzSignals(f *testing.F) { proof.Fuzz(f, Trials()...) }
