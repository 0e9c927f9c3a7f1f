package coord_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// TestServeOnceIsOverWithItsSignal: W1, whatever ends while the handler is at its one signal: it was answered, so that is
// the outcome. Else the caller believes that nothing was consumed (W4).
func TestServeOnceIsOverWithItsSignal(t *testing.T) {
	for name, end := range map[string]func(stop func(), b *coord.Coordinator){
		"context": func(stop func(), _ *coord.Coordinator) { stop() },
		"leave":   func(_ func(), b *coord.Coordinator) { _ = b.Leave(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				a, b := pair(t, coord.Config{})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				release, outcome := make(chan struct{}), make(chan error, 1)
				go func() {
					outcome <- b.Serve(ctx, func(context.Context, *coord.Signal) ([]byte, error) {
						<-release
						return []byte("ok"), nil
					}, coord.Once())
				}()
				ack := make(chan *coord.Ack, 1)
				go func() { ack <- must(a.Send(t.Context(), "coord-b", "wake", nil)) }()
				synctest.Wait()
				var ending sync.WaitGroup
				ending.Go(func() { end(stop, b) })
				synctest.Wait()
				close(release)
				ending.Wait()
				if err := <-outcome; err != nil {
					t.Error(err)
				}
				if ack := <-ack; string(ack.Result) != "ok" {
					t.Errorf("%+v", ack)
				}
			})
		})
	}
}

// TestServeOnceWithoutItsSignal: where the handler put it off, the context's end is the outcome, and the signal is there.
func TestServeOnceWithoutItsSignal(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, errEnough)
		defer stop()
		id := must(a.Post(t.Context(), "coord-b", "wake", nil))
		err := b.Serve(ctx, func(ctx context.Context, _ *coord.Signal) ([]byte, error) {
			<-ctx.Done()
			return nil, coord.ErrLater
		}, coord.Once())
		if !errors.Is(err, errEnough) {
			t.Error(err)
		}
		if s := must(b.Wait(t.Context())); s.ID != id {
			t.Errorf("%+v", s)
		}
	})
}

// TestServeGoexitIsARejection: a handler that ends its goroutine, as t.FailNow does, has its worker freed like one that
// panics, so that the next signal is handled and Leave has nothing to wait for.
func TestServeGoexitIsARejection(t *testing.T) {
	in(t, func(t *testing.T) {
		seen := &record{}
		a, b := pair(t, coord.Config{Observer: seen})
		must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		}))
		for range 2 {
			ack, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(time.Minute))
			if !errors.Is(err, coord.ErrRejected) || ack == nil {
				t.Errorf("%+v, %v", ack, err)
			}
		}
		if p := of[coord.HandlerPanicked](seen); len(p) != 2 || p[0].Stack == "" {
			t.Errorf("%+v", p)
		}
		if err := b.Leave(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
