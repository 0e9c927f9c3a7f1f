package ticketlog_test

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
)

func FuzzTickets(f *testing.F) { proof.Fuzz(f, trials()...) }
