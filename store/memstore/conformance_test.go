package memstore_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestConformance(t *testing.T) { conformance.Run(t, open) }

func TestProtocol(t *testing.T) { conformance.RunProtocol(t, open) }

func open(testing.TB) conformance.Instance {
	clock := memstore.NewFakeClock(time.Time{})
	s := memstore.New(memstore.WithClock(clock))
	return conformance.Instance{
		Store:   s,
		Advance: clock.Advance,
		Reopen:  func() store.Store { return s }, // every client of memory is the same one
	}
}
