package breaker_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// A wrapped store is a store: nothing of the contract is lost, on the way through the gate or past it.
func TestConformance(t *testing.T) {
	for name, wrap := range map[string]func(store.Store) store.Store{
		"gated": func(s store.Store) store.Store { return breaker.Wrap(s) },
		"once":  func(s store.Store) store.Store { return breaker.Wrap(s).Once() },
	} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(testing.TB) conformance.Instance {
				clock := memstore.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
				s := memstore.New(memstore.WithClock(clock))
				return conformance.Instance{
					Store:   wrap(s),
					Advance: clock.Advance,
					Reopen:  func() store.Store { return wrap(s) },
				}
			})
		})
	}
}
