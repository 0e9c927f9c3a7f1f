package coord_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// denying is a store that refuses checkpoints, the first of which begins an epoch, while denied is set.
func denying(denied *atomic.Bool) *hooked {
	return &hooked{newUnsteady(), func(_ context.Context, key string) error {
		if denied.Load() && strings.HasPrefix(key, "set blocking:work:") && strings.Contains(key, ":checkpoint:") {
			return store.ErrDenied
		}
		return nil
	}}
}

// TestAcceptDeniedAndAgain: what the store refused while its permissions changed is accepted once it does not.
func TestAcceptDeniedAndAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		var denied atomic.Bool
		a := joinOn(t, denying(&denied), "coord-a", coord.Config{})
		denied.Store(true)
		for range 2 {
			if _, err := a.Accept(t.Context(), coord.Work{ID: "u-1"}); !errors.Is(err, store.ErrDenied) {
				t.Fatal(err)
			}
		}
		denied.Store(false)
		task, err := a.Accept(t.Context(), coord.Work{ID: "u-1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Done(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestInheritedDenied: the same for what came by a hand-over. It is tried again, for its owner lives and nobody else will,
// and an observer hears of it.
func TestInheritedDenied(t *testing.T) {
	in(t, func(t *testing.T) {
		var denied atomic.Bool
		st, seen := denying(&denied), &record{}
		a := joinOn(t, st, "coord-a", coord.Config{Observer: seen})
		done := make(chan error, 10)
		if err := a.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			done <- task.Done(ctx, nil)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		denied.Store(true)
		if err := openOn(t, st, coord.Config{}).AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(of[coord.StoreFailed](seen)); len(done) > 0 || n == 0 || n > 10 {
			t.Errorf("handled %d times, reported %d times", len(done), n)
		}
		denied.Store(false)
		time.Sleep(coord.DefaultPolicy().Check + 2*coord.DefaultPoll)
		if len(done) != 1 {
			t.Fatalf("handled %d times", len(done))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestClaimingDenied: who cannot begin what it has claimed claims no more than it has room for.
func TestClaimingDenied(t *testing.T) {
	in(t, func(t *testing.T) {
		var denied atomic.Bool
		st, seen := denying(&denied), &record{}
		denied.Store(true)
		c := openOn(t, st, coord.Config{})
		for _, id := range []string{"u-1", "u-2", "u-3", "u-4"} {
			if err := c.AddWork(t.Context(), coord.Work{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		if err := joinOn(t, st, "coord-a", coord.Config{Observer: seen}).OnTakeOver(finish, coord.Claiming(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(must(st.Keys(t.Context(), "blocking:work:intents:{coord-a/1}:entry:"))); n != 1 {
			t.Errorf("claimed %d units", n)
		}
		denied.Store(false)
		time.Sleep(time.Minute)
		if n := len(of[coord.WorkDone](seen)); n != 4 {
			t.Errorf("%d units are done", n)
		}
	})
}
