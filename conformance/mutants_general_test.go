package conformance

import (
	"context"
	"sync/atomic"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// countingClient takes tickets from a share of its own, as a client does that fetches them by the dozen.
type countingClient struct {
	store.Store
	n atomic.Int64
}

func (c *countingClient) Incr(context.Context, string) (int64, error) { return c.n.Add(1), nil }

var generalMutants = []mutant{
	{"capabilities come and go", "capabilities-stay", func(b *broken) {
		var calls atomic.Int64
		b.caps = func() store.Capabilities {
			caps := b.goodCaps()
			if calls.Add(1)%2 == 0 {
				caps.Hints = nil
			}
			return caps
		}
	}},
	{"the clock is another", "the-clock-agrees-with-the-deadlines", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Clock = store.SystemClock })
	}},
	{"Once is another store", "once-is-the-same-store", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Once = memstore.New() })
	}},
	{"every client has its own data", "another-client-sees-the-data", func(b *broken) {
		b.reopen = func() store.Store { return memstore.New() }
	}},
	{"clients count for themselves", "clients-share-counters", func(b *broken) {
		b.reopen = func() store.Store { return &countingClient{Store: b} }
	}},
}
