package coord_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// TestAssignAnotherPayload: a unit that is another one is not taken silently, though the owner is the one that was meant:
// nobody would ever work on it.
func TestAssignAnotherPayload(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		c := openOn(t, u, coord.Config{})
		if err := joinOn(t, u, "coord-a", coord.Config{}).OnTakeOver(finish); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.AssignWork(t.Context(), coord.Work{ID: "u-1", Payload: []byte("one")}, "coord-a"); err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range []coord.Work{{ID: "u-1", Payload: []byte("two")}, {ID: "u-1", Payload: []byte("one"), Progress: time.Minute}} {
			if err := c.AssignWork(t.Context(), other, "coord-a"); !errors.Is(err, coord.ErrTaken) {
				t.Errorf("%q, %v: %v", other.Payload, other.Progress, err)
			}
		}
	})
}

// TestResumeAnotherPayload: the same where a unit that was suspended is accepted again. The one that it was is resumed
// after that as if the other had not been tried.
func TestResumeAnotherPayload(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		a := joinOn(t, u, "coord-a", coord.Config{})
		one := coord.Work{ID: "u-1", Payload: []byte("one")}
		must(a.Accept(t.Context(), one))
		suspendAndResume(u)
		if _, err := a.Accept(t.Context(), coord.Work{ID: "u-1", Payload: []byte("two")}); !errors.Is(err, coord.ErrTaken) {
			t.Errorf("another payload: %v", err)
		}
		if task := must(a.Accept(t.Context(), one)); string(task.Payload()) != "one" {
			t.Errorf("%q", task.Payload())
		}
	})
}

// TestAcceptInterruptedThenAnotherPayload: the same where a call whose outcome is unknown had made it the owner, whether
// that call learned so or not.
func TestAcceptInterruptedThenAnotherPayload(t *testing.T) {
	for _, stuck := range []string{"get blocking:work:{u-1}:unit:", "set blocking:work:{u-1}:checkpoint:"} {
		in(t, func(t *testing.T) {
			var on atomic.Bool
			a := joinOn(t, &hooked{newUnsteady(), func(ctx context.Context, key string) error {
				if on.Load() && strings.HasPrefix(key, stuck) {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}}, "coord-a", coord.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			on.Store(true)
			one := coord.Work{ID: "u-1", Payload: []byte("one")}
			if _, err := a.Accept(ctx, one); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			on.Store(false)
			if _, err := a.Accept(t.Context(), coord.Work{ID: "u-1", Payload: []byte("two")}); !errors.Is(err, coord.ErrTaken) {
				t.Errorf("another payload: %v", err)
			}
			if task := must(a.Accept(t.Context(), one)); string(task.Payload()) != "one" {
				t.Errorf("%q", task.Payload())
			}
		})
	}
}
