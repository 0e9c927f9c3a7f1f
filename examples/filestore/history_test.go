//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/history"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// Four handles on one directory, as four processes would have.
func TestLinearizable(t *testing.T) {
	dir, clock, h := directory(t), memstore.NewFakeClock(time.Time{}), &history.History{}
	p := history.Play{Prefix: "h", Seed: 1, Clients: 4, Each: 200, MaxOpen: 1}
	p.Store = func(client int) store.Store { return h.Of(client, open(t, dir, clock)) }
	p.Run(t.Context(), h)
	h.Check(t)
	t.Logf("counted %d operations", h.Len())
}
