package coord_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// served has b handle signals by h, and returns what takes h off.
func served(b *coord.Coordinator, h coord.Handler) (off func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); _ = b.Serve(ctx, h) }()
	return func() { cancel(); <-over }
}

// TestLeaveWaitsForHandlersTakenOffBefore: whoever took the handler off, Leave waits for its call and writes its ACK: else
// Close drops that, and the next incarnation gets the signal again though nothing has crashed (S2).
func TestLeaveWaitsForHandlersTakenOffBefore(t *testing.T) {
	handled := func(b *coord.Coordinator, h coord.Handler) func() { return must(b.Handle(h)) }
	leaving := func(b *coord.Coordinator, h coord.Handler) func() {
		served(b, h)
		return func() { _ = b.Leave(context.Background()) }
	}
	for name, begin := range map[string]func(*coord.Coordinator, coord.Handler) (off func()){
		"the context of Serve ended": served, "stop of Handle": handled, "another Leave": leaving,
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st := memstore.New()
				a, c := joinOn(t, st, "coord-a", coord.Config{}), openOn(t, st, coord.Config{})
				b, release := must(c.Join(t.Context(), "coord-b")), make(chan struct{})
				var running atomic.Int64
				off := begin(b, func(context.Context, *coord.Signal) ([]byte, error) {
					running.Add(1)
					defer running.Add(-1)
					<-release
					return nil, nil
				})
				synctest.Wait()
				must(a.Post(t.Context(), "coord-b", "wake", nil))
				synctest.Wait()
				var taken sync.WaitGroup
				taken.Go(off)
				synctest.Wait()
				left := make(chan int64, 1)
				go func() { // as programs end
					_ = b.Leave(context.Background())
					left <- running.Load()
					_ = c.Close()
				}()
				synctest.Wait()
				close(release)
				if n := <-left; n != 0 {
					t.Errorf("%d handlers run when it has left", n)
				}
				_ = c.Close()
				taken.Wait()
				if s, again := joinOn(t, st, "coord-b", coord.Config{}).TryWait(t.Context()); again {
					t.Errorf("the next incarnation is given %s again", s.ID)
				}
			})
		})
	}
}

// TestNoHandlerWhileItLeaves: what Leave would not wait for does not begin.
func TestNoHandlerWhileItLeaves(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		release := make(chan struct{})
		must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { <-release; return nil, nil }))
		must(a.Post(t.Context(), "coord-b", "wake", nil))
		synctest.Wait()
		left := make(chan error, 1)
		go func() { left <- b.Leave(context.Background()) }()
		synctest.Wait()
		if _, err := b.Handle(echo); !errors.Is(err, coord.ErrClosed) {
			t.Error(err)
		}
		close(release)
		if err := <-left; err != nil {
			t.Error(err)
		}
	})
}
