package coord_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// TestOrphanKeepsItsProgress: a unit whose first owner died before it was decided that he owns it is still the unit that
// he accepted: whoever takes it owes the same progress, and it has not become another unit.
func TestOrphanKeepsItsProgress(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u := newUnsteady()
		unit := coord.Work{ID: "u-1", Payload: []byte("dig"), Progress: 5 * time.Minute}
		dieUndecided(t, u, unit)
		c := openOn(t, u, coord.Config{})
		orphans := make(chan coord.Orphan, 10)
		m := c.Monitor(coord.Spawn(func(ctx context.Context, o coord.Orphan) error {
			orphans <- o
			if len(orphans) > 1 {
				return nil
			}
			_, err := join(t, c, "idle").TakeEpoch(ctx, o) // and makes no progress
			return err
		}))
		go func() { _ = m.Run(ctx) }()
		time.Sleep(20 * time.Minute)
		for epoch := range int64(2) {
			if len(orphans) == 0 {
				t.Fatalf("nobody was asked for to end epoch %d", epoch)
			}
			if o := <-orphans; o.Epoch != epoch || o.Progress != unit.Progress || string(o.Payload) != "dig" {
				t.Errorf("%+v", o)
			}
		}
		if err := c.AddWork(ctx, unit); err != nil {
			t.Errorf("it has become another unit: %v", err)
		}
	})
}

// dieUndecided has somebody die who meant to own unit, before that was decided.
func dieUndecided(t *testing.T, u *unsteady, unit coord.Work) {
	t.Helper()
	var dead atomic.Bool
	cable := mortal(u)
	a := joinOn(t, &hooked{cable, func(ctx context.Context, key string) error {
		if dead.Load() || strings.HasPrefix(key, "set blocking:decide:{work/"+unit.ID+"/0}") {
			return errDown
		}
		return nil
	}}, "doomed", coord.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := a.Accept(ctx, unit); err == nil {
		t.Fatal("it was decided")
	}
	dead.Store(true)
	cable.down.Store(true)
}
