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

// hooked is a store that asks before it writes or reads a key.
type hooked struct {
	*unsteady
	before func(ctx context.Context, key string) error
}

func (h *hooked) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := h.before(ctx, "set "+key); err != nil {
		return err
	}
	return h.unsteady.SetEX(ctx, key, value, ttl)
}

func (h *hooked) Get(ctx context.Context, key string) ([]byte, error) {
	if err := h.before(ctx, "get "+key); err != nil {
		return nil, err
	}
	return h.unsteady.Get(ctx, key)
}

// acceptance is what Accept returned.
type acceptance struct {
	task *coord.Task
	err  error
}

// TestAcceptedWhileSuspended: D6, a task that is claimed while its owner is suspended may not act either, and like others
// it is resumed by accepting the unit again: else nobody would work on it for as long as its owner lives.
func TestAcceptedWhileSuspended(t *testing.T) {
	in(t, func(t *testing.T) {
		var mute atomic.Bool
		up := make(chan struct{})
		a := joinOn(t, &hooked{newUnsteady(), func(_ context.Context, key string) error {
			switch {
			case mute.Load() && strings.HasPrefix(key, "set blocking:heartbeat:"):
				return errDown
			case strings.HasPrefix(key, "set blocking:work:{u-1}:unit:"):
				<-up
			}
			return nil
		}}, "coord-a", coord.Config{})
		mute.Store(true)
		accepted := make(chan acceptance, 1)
		go func() {
			task, err := a.Accept(t.Context(), coord.Work{ID: "u-1"})
			accepted <- acceptance{task, err}
		}()
		time.Sleep(coord.DefaultPolicy().TTL)
		close(up)
		first := <-accepted
		if first.err != nil || !errors.Is(context.Cause(first.task.Context()), coord.ErrSuspended) {
			t.Fatalf("it may act: %v", first.err)
		}
		if err := first.task.Done(t.Context(), nil); !errors.Is(err, coord.ErrSuspended) {
			t.Errorf("done by one who is suspended: %v", err)
		}
		mute.Store(false)
		time.Sleep(2 * coord.DefaultPolicy().Beat)
		again, err := a.Accept(t.Context(), coord.Work{ID: "u-1"})
		if err != nil {
			t.Fatalf("it is not resumed: %v", err)
		}
		if err := again.Done(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestInheritedWhileSuspended: the same for what came by a hand-over: its handler runs once its owner has resumed.
func TestInheritedWhileSuspended(t *testing.T) {
	in(t, func(t *testing.T) {
		var mute atomic.Bool
		up := make(chan struct{})
		st := &hooked{newUnsteady(), func(_ context.Context, key string) error {
			switch {
			case mute.Load() && strings.HasPrefix(key, "set blocking:heartbeat:"):
				return errDown
			case mute.Load() && strings.HasPrefix(key, "get blocking:work:{u-1}:unit:"):
				<-up
			}
			return nil
		}}
		a := joinOn(t, st, "coord-a", coord.Config{})
		done := make(chan error, 10)
		err := a.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			done <- task.Done(t.Context(), nil)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		mute.Store(true)
		if err := openOn(t, st.unsteady, coord.Config{}).AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(coord.DefaultPolicy().TTL)
		close(up)
		time.Sleep(2 * coord.DefaultPolicy().Beat)
		if len(done) > 0 {
			t.Errorf("it ran while its owner was suspended: %v", <-done)
		}
		mute.Store(false)
		time.Sleep(2 * coord.DefaultPolicy().Beat)
		if len(done) != 1 {
			t.Fatalf("it ran %d times", len(done))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestAcceptInterruptedAndAgain: the caller gave up after the unit was his and before the task was ready. Accept says that
// the outcome is unknown; again, it gives him the task.
func TestAcceptInterruptedAndAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		var stuck atomic.Bool
		stuck.Store(true)
		a := joinOn(t, &hooked{newUnsteady(), func(ctx context.Context, key string) error {
			if stuck.Load() && strings.HasPrefix(key, "get blocking:work:{u-1}:unit:") { // the first thing of a new owner
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}, "coord-a", coord.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := a.Accept(ctx, coord.Work{ID: "u-1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		stuck.Store(false)
		task, err := a.Accept(t.Context(), coord.Work{ID: "u-1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Done(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}
