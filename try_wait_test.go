package coord_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// stalling is a store with hints that answers no Get while it is asked to stall, whatever becomes of the context.
type stalling struct {
	*memstore.Store
	stall chan struct{} // holds one token while it does
}

func (s *stalling) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Batch = nil
	return caps
}

func (s *stalling) Get(ctx context.Context, key string) ([]byte, error) {
	s.stall <- struct{}{}
	<-s.stall
	return s.Store.Get(ctx, key)
}

// TestNoTimeEndsWithTheContext: who asks what is there now is not held up by a store that does not answer, and consumes
// nothing (W1, W4).
func TestNoTimeEndsWithTheContext(t *testing.T) {
	for name, look := range map[string]func(context.Context, *coord.Coordinator) error{
		"TryWait": func(ctx context.Context, b *coord.Coordinator) error {
			if _, ok := b.TryWait(ctx); ok {
				return nil
			}
			return context.Cause(ctx)
		},
		"Wait": func(ctx context.Context, b *coord.Coordinator) error {
			_, err := b.Wait(ctx, coord.Within(0))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st := &stalling{memstore.New(), make(chan struct{}, 1)}
				a, b := joinOn(t, st.Store, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
				if _, ok := b.TryWait(t.Context()); ok { // from here on nothing is read but for the last look
					t.Fatal("a signal from nobody")
				}
				st.stall <- struct{}{}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errEnough)
				defer cancel()
				began := time.Now()
				ended := make(chan error, 1)
				go func() { ended <- look(ctx, b) }()
				time.Sleep(20 * time.Second)
				if len(ended) == 0 {
					t.Errorf("it blocks, %v after its context's end", time.Since(began)-time.Second)
				} else if err := <-ended; !errors.Is(err, errEnough) {
					t.Error(err)
				}
				id := must(a.Post(t.Context(), "coord-b", "wake", nil))
				synctest.Wait()
				<-st.stall
				if s, err := b.Wait(t.Context()); err != nil || s.ID != id {
					t.Errorf("%+v, %v", s, err)
				}
			})
		})
	}
}
