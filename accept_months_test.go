package coord_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// calm is for tests in which weeks pass.
var calm = coord.Config{
	Policy: coord.Policy{
		Beat: time.Hour, TTL: 4 * time.Hour, Stale: 6 * time.Hour, Check: 2 * time.Hour,
		Warnings: 3, Spacing: time.Hour, Window: day,
	},
	Poll: time.Hour,
}

// mortal is a cable of its own to the store of u: who is on it dies when it is down.
func mortal(u *unsteady) *unsteady {
	cable := newUnsteady()
	cable.inner.Store(u.inner.Load())
	return cable
}

// watched has a monitor look on until stop is called or ctx ends.
func watched(ctx context.Context, t *testing.T, u *unsteady) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	m := openOn(t, u, calm).Monitor()
	go func() { _ = m.Run(ctx) }()
	return stop
}

// finisher joins one who takes work over and is done with it at once; the checkpoints that it found arrive at found.
func finisher(t *testing.T, u *unsteady) (found chan string) {
	t.Helper()
	found = make(chan string, 10)
	err := join(t, openOn(t, u, calm), "heir").OnTakeOver(func(ctx context.Context, task *coord.Task) error {
		last, err := task.LastCheckpoint(ctx)
		found <- string(last)
		return errors.Join(err, task.Done(ctx, nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAcceptedForMonths: X1 and X3 hold for one who only accepts, and never takes anything over, for as long as he lives,
// and when he dies then.
func TestAcceptedForMonths(t *testing.T) {
	for _, lived := range []time.Duration{10 * day, 20 * day, 40 * day, 100 * day} {
		t.Run(fmt.Sprint(lived), func(t *testing.T) {
			in(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				u := newUnsteady()
				cable := mortal(u)
				task := must(join(t, openOn(t, cable, calm), "owner").Accept(ctx, coord.Work{ID: "u-1"}))
				if err := task.Checkpoint(ctx, []byte("half")); err != nil {
					t.Fatal(err)
				}
				found := finisher(t, u)
				watched(ctx, t, u)
				time.Sleep(lived)
				if _, err := join(t, openOn(t, u, calm), "other").Accept(ctx, coord.Work{ID: "u-1"}); !errors.Is(err, coord.ErrTaken) {
					t.Fatalf("a second owner: %v", err)
				}
				cable.down.Store(true)
				time.Sleep(5 * day)
				if len(found) != 1 {
					t.Fatalf("inherited %d times", len(found))
				}
				if last := <-found; last != "half" {
					t.Errorf("inherited %q", last)
				}
			})
		})
	}
}

// TestNoHeirForMonths: X3 holds however late the first heir joins, and whether the monitor that saw the death still runs.
func TestNoHeirForMonths(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		for _, alone := range []time.Duration{10 * day, 35 * day, 65 * day, 200 * day} {
			t.Run(fmt.Sprint(alone, " restarted ", restarted), func(t *testing.T) {
				in(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					u := newUnsteady()
					cable := mortal(u)
					task := must(join(t, openOn(t, cable, calm), "owner").Accept(ctx, coord.Work{ID: "u-1"}))
					if err := task.Checkpoint(ctx, []byte("half")); err != nil {
						t.Fatal(err)
					}
					stop := watched(ctx, t, u)
					cable.down.Store(true)
					time.Sleep(alone)
					if restarted {
						stop()
						watched(ctx, t, u)
					}
					found := finisher(t, u)
					time.Sleep(5 * day)
					if len(found) != 1 {
						t.Fatalf("inherited %d times", len(found))
					}
					if last := <-found; last != "half" {
						t.Errorf("inherited %q", last)
					}
				})
			})
		}
	}
}

// TestBackAfterMonths: D5, who comes back under the id of one whose work is still to be handed over counts on from there,
// and is not taken for the dead.
func TestBackAfterMonths(t *testing.T) {
	for name, owning := range map[string]bool{"what it owned has no heir": true, "it owned nothing": false} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				u := newUnsteady()
				cable := mortal(u)
				if a := join(t, openOn(t, cable, calm), "owner"); owning {
					must(a.Accept(ctx, coord.Work{ID: "u-1"}))
				}
				watched(ctx, t, u)
				cable.down.Store(true)
				time.Sleep(50 * day)
				again := join(t, openOn(t, u, calm), "owner")
				time.Sleep(day)
				if again.Incarnation() != 2 || again.Context().Err() != nil {
					t.Fatalf("incarnation %d: %v", again.Incarnation(), context.Cause(again.Context()))
				}
			})
		})
	}
}

// TestAStuckTaskHoldsUpNoOther: X1, a checkpoint that hangs for weeks holds up its own unit only.
func TestAStuckTaskHoldsUpNoOther(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var stuck atomic.Bool
		u := newUnsteady()
		a := join(t, openOn(t, &hooked{u, func(ctx context.Context, key string) error {
			if stuck.Load() && strings.HasPrefix(key, "set blocking:work:{u-1}:checkpoint:") {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}, calm), "owner")
		first, second := must(a.Accept(ctx, coord.Work{ID: "u-1"})), must(a.Accept(ctx, coord.Work{ID: "u-2"}))
		stuck.Store(true)
		go func() { _ = first.Checkpoint(ctx, nil) }()
		time.Sleep(40 * day)
		if _, err := join(t, openOn(t, u, calm), "other").Accept(ctx, coord.Work{ID: "u-2"}); !errors.Is(err, coord.ErrTaken) {
			t.Errorf("a second owner: %v", err)
		}
		if err := second.Checkpoint(ctx, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestAddedMonthsAgo: what was added waits for as long as somebody is there who will claim it, however busy he is.
func TestAddedMonthsAgo(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u := newUnsteady()
		c := openOn(t, u, calm)
		busy, done := make(chan bool), make(chan string, 2)
		err := join(t, c, "claimer").OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			<-busy
			done <- string(task.Payload())
			return task.Done(ctx, nil)
		}, coord.Claiming(1))
		for _, id := range []string{"u-1", "u-2"} {
			err = errors.Join(err, c.AddWork(ctx, coord.Work{ID: id, Payload: []byte(id)}))
			time.Sleep(day)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * day)
		restarted := join(t, openOn(t, u, calm), "another")
		err = restarted.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			done <- string(task.Payload())
			return task.Done(ctx, nil)
		}, coord.Claiming(1))
		time.Sleep(day)
		if err != nil || len(done) != 1 || <-done != "u-2" {
			t.Errorf("it was not claimed: %v", err)
		}
		close(busy)
		time.Sleep(day)
	})
}
