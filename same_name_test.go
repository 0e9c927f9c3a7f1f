package coord_test

import (
	"context"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// fifth joins five times under one name, and leaves four times.
func fifth(ctx context.Context, t *testing.T, st store.Store) *coord.Coordinator {
	c := openOn(t, st, fast)
	for range 4 {
		if err := must(c.Join(ctx, "coord-a")).Leave(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return must(c.Join(ctx, "coord-a"))
}

// TestD5NumbersGoOnAfterALoss: the counter of a name is lost, its fifth incarnation lives on, and then crashes or leaves.
// Who joins under that name after that is nobody's predecessor, and lives.
func TestD5NumbersGoOnAfterALoss(t *testing.T) {
	for name, crashes := range map[string]bool{"it crashes": true, "it leaves": false} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				ctx, u := t.Context(), newUnsteady()
				watching(t, u)
				joinOn(t, u, "other", fast)
				cable := mortal(u)
				a := fifth(ctx, t, cable)
				time.Sleep(time.Minute)
				u.lose()
				cable.inner.Store(u.inner.Load())
				time.Sleep(time.Minute)
				if cable.down.Store(crashes); !crashes {
					if err := a.Leave(ctx); err != nil {
						t.Fatal(err)
					}
				}
				b := joinOn(t, u, "coord-a", fast)
				time.Sleep(time.Hour)
				watching(t, u)
				time.Sleep(time.Hour)
				if b.Incarnation() <= a.Incarnation() || b.Context().Err() != nil {
					t.Errorf("incarnation %d after %d: %v", b.Incarnation(), a.Incarnation(), context.Cause(b.Context()))
				}
			})
		})
	}
}

// TestD5ALateDeathNumbersNobodyElse: a death is decided weeks after the last heartbeat. Its number is not given away while
// it stands.
func TestD5ALateDeathNumbersNobodyElse(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u := newUnsteady()
		join(t, openOn(t, u, calm), "other")
		cable := mortal(u)
		join(t, openOn(t, cable, calm), "owner")
		time.Sleep(day)
		cable.down.Store(true)
		time.Sleep(25 * day) // nobody watches
		watched(ctx, t, u)
		time.Sleep(48 * day)
		again := join(t, openOn(t, u, calm), "owner")
		time.Sleep(day)
		if again.Incarnation() != 2 || again.Context().Err() != nil {
			t.Errorf("incarnation %d: %v", again.Incarnation(), context.Cause(again.Context()))
		}
	})
}

// TestX3ItsOwnNextLifeInherits: who crashes and comes back under its name takes its place again, and its work.
func TestX3ItsOwnNextLifeInherits(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, u := t.Context(), newUnsteady()
		watching(t, u)
		cable := mortal(u)
		must(joinOn(t, cable, "owner", fast).Accept(ctx, coord.Work{ID: "u-1"}))
		cable.down.Store(true)
		time.Sleep(time.Minute)
		took := make(chan int64, 1)
		err := joinOn(t, u, "owner", fast).OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			took <- task.Epoch()
			return task.Done(ctx, nil)
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case epoch := <-took:
			if epoch != 2 {
				t.Errorf("epoch %d", epoch)
			}
		case <-time.After(time.Hour):
			t.Error("nobody has the unit")
		}
	})
}

// TestLeaveOfThePredecessor: in a rolling restart the old one leaves when the new one has joined. The heartbeat that stands
// is the new one's.
func TestLeaveOfThePredecessor(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		old := joinOn(t, u, "coord-a", fast)
		time.Sleep(2200 * time.Millisecond) // not at the moment of a beat
		c := openOn(t, u, fast)
		next := must(c.Join(t.Context(), "coord-a"))
		if err := next.OnTakeOver(func(ctx context.Context, task *coord.Task) error { return task.Done(ctx, nil) }); err != nil {
			t.Fatal(err)
		}
		_ = old.Leave(t.Context())
		if beats := must(u.Keys(t.Context(), "blocking:heartbeat:")); len(beats) != 1 {
			t.Errorf("heartbeats: %v", beats)
		}
		time.Sleep(10 * time.Second)
		if err := next.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		if beats := must(u.Keys(t.Context(), "blocking:heartbeat:")); len(beats) != 0 {
			t.Errorf("heartbeats when it has left too: %v", beats)
		}
	})
}
