package coord_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// slowly answers after half a minute, unless it is stopped before, and then says so as handlers do.
func slowly(ctx context.Context, _ string, _ *coord.Signal) (review, error) {
	select {
	case <-time.After(30 * time.Second):
		return review{"yes", 1}, nil
	case <-ctx.Done():
		return review{}, ctx.Err()
	}
}

// endings are the ways in which a handler call is stopped, and the next one comes.
var endings = map[string]func(t *testing.T, doomed *unsteady, v1 *coord.Coordinator, stop func(), h coord.Handler){
	"superseded": func(t *testing.T, doomed *unsteady, _ *coord.Coordinator, _ func(), h coord.Handler) {
		must(joinOn(t, doomed.inner.Load(), "v1", fast).Handle(h))
	},
	"left": func(t *testing.T, doomed *unsteady, v1 *coord.Coordinator, _ func(), h coord.Handler) {
		_ = v1.Leave(context.Background())
		must(joinOn(t, doomed.inner.Load(), "v1", fast).Handle(h))
	},
	"stopped": func(_ *testing.T, _ *unsteady, v1 *coord.Coordinator, stop func(), h coord.Handler) {
		stop()
		must(v1.Handle(h))
	},
	"declared dead": func(t *testing.T, doomed *unsteady, _ *coord.Coordinator, _ func(), h coord.Handler) {
		doomed.down.Store(true)
		time.Sleep(15 * time.Second)
		doomed.down.Store(false)
		time.Sleep(15 * time.Second) // it learns that, before the next one comes
		must(joinOn(t, doomed.inner.Load(), "v1", fast).Handle(h))
	},
}

// TestServeStoppedIsNoAnswer: whose handler was stopped has refused nothing for the one that comes after it.
func TestServeStoppedIsNoAnswer(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				doomed := newUnsteady()
				watching(t, doomed.inner.Load())
				v1, h := joinOn(t, doomed, "v1", fast), coord.Answer(slowly)
				stop := must(v1.Handle(h))
				time.AfterFunc(5*time.Second, func() { end(t, doomed, v1, stop, h) })
				po := joinOn(t, doomed.inner.Load(), "po", fast)
				r, err := gather(t, po, "r-1", coord.To("v1"), coord.Within(5*time.Minute))
				if time.Sleep(time.Minute); err != nil { // it was dead for a while
					r, err = gather(t, po, "r-1", coord.To("v1"), coord.Within(5*time.Minute))
				}
				if err != nil {
					t.Error(err)
				}
				checkStates(t, r, map[string]coord.MemberState{"v1": answered})
			})
		})
	}
}

// TestServeStoppedSignalComesAgain: nor has it refused a signal. The cause of the end says the same as its error; another
// error is a rejection, and what was done in time is done.
func TestServeStoppedSignalComesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		result func(ctx context.Context) ([]byte, error)
		again  bool
	}{
		"its error": {func(ctx context.Context) ([]byte, error) { return nil, ctx.Err() }, true},
		"its cause": {func(ctx context.Context) ([]byte, error) { return nil, context.Cause(ctx) }, true},
		"a result":  {func(context.Context) ([]byte, error) { return []byte("ok"), nil }, false},
		"no":        {func(context.Context) ([]byte, error) { return nil, errEnough }, false},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				a, b := pair(t, fast)
				must(a.Post(t.Context(), "coord-b", "wake", nil))
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				err := b.Serve(ctx, func(ctx context.Context, _ *coord.Signal) ([]byte, error) {
					<-ctx.Done()
					return c.result(ctx)
				})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				var came atomic.Bool
				must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { came.Store(true); return nil, nil }))
				time.Sleep(time.Minute)
				if synctest.Wait(); came.Load() != c.again {
					t.Errorf("it came again: %v", came.Load())
				}
			})
		})
	}
}

// TestServeCancelledOfItsOwn: a handler that nobody stops, and that fails by a context of its own, has refused.
func TestServeCancelledOfItsOwn(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, fast)
		must(b.Handle(func(ctx context.Context, _ *coord.Signal) ([]byte, error) {
			own, cancel := context.WithCancel(ctx)
			cancel()
			return nil, own.Err()
		}))
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil); !errors.Is(err, coord.ErrRejected) {
			t.Error(err)
		}
	})
}
