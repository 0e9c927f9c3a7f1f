package coord_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// stuck is a store whose reads end with their context only, from some moment on.
type stuck struct {
	store.Store
	on atomic.Bool
}

func (s *stuck) Get(ctx context.Context, key string) ([]byte, error) {
	if s.on.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Get(ctx, key)
}

// A store that answers only when it is given up does not hold up the end of a Gather for longer than a poll.
func TestGatherEndsThoughTheStoreIsStuck(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		in(t, func(t *testing.T) {
			st := &stuck{Store: memstore.New()}
			po := joinOn(t, st, "po", fast)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			st.on.Store(true)
			if cancelled {
				time.AfterFunc(10*time.Second, cancel)
			}
			time.AfterFunc(time.Hour, func() { st.on.Store(false); _ = po.Leave(context.Background()) })
			began := time.Now()
			_, err := coord.Gather[review](ctx, po, "r-1", "task-1", coord.To("v1"), coord.Within(20*time.Second))
			if !errors.Is(err, coord.ErrIncomplete) || time.Since(began) > 23*time.Second {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			st.on.Store(false)
		})
	}
}

// Whose Condition or policy panics is not left with questions that are posted again and again.
func TestGatherPanicEndsTheAsking(t *testing.T) {
	in(t, func(t *testing.T) {
		mem, v := memstore.New(), &validators{}
		posts := &record{}
		v.join(t, mem, "v1", "yes")
		po := must(openOn(t, mem, coord.Config{Policy: coord.FastPolicy(), Observer: posts}).Join(t.Context(), "po"))
		func() {
			defer func() { _ = recover() }()
			_, _ = gather(t, po, "r-1", coord.To("v1", "v2"), coord.Within(time.Hour), coord.Until(func(m []coord.Member) bool {
				if m[0].State == answered {
					panic("oh")
				}
				return false
			}))
		}()
		synctest.Wait()
		before := len(of[coord.SignalPosted](posts))
		time.Sleep(10 * time.Minute)
		if after := len(of[coord.SignalPosted](posts)); after != before {
			t.Errorf("posted %d times since", after-before)
		}
	})
}

func TestGatherNilIsTheDefault(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		r, err := gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1"), coord.Until(nil), coord.Encoding(nil))
		if err != nil {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered})
	})
}
