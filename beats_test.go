package coord_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// swallowing is a store behind a network that drops everything without a word, where it is told to.
type swallowing struct {
	*memstore.Store
	gone atomic.Bool
}

func (s *swallowing) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Batch = s
	return caps
}

func (s *swallowing) Batch(ctx context.Context, ops []store.Op) []store.Result {
	if !s.gone.Load() {
		return s.Store.Batch(ctx, ops)
	}
	const patience = time.Second // of a driver
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	<-ctx.Done()
	all := make([]store.Result, len(ops))
	for i := range all {
		all[i].Err = context.Cause(ctx)
	}
	return all
}

// TestD6SuspendedInTimeAmongMany: the beats of many take several trips, each of which ends by its deadline alone. The last
// of them is suspended within a TTL of its last good beat, like the first.
func TestD6SuspendedInTimeAmongMany(t *testing.T) {
	for name, p := range map[string]coord.Policy{"default": coord.DefaultPolicy(), "fast": coord.FastPolicy()} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				const many = 3000
				st, seen := &swallowing{Store: memstore.New()}, &record{}
				c := openOn(t, st, coord.Config{Policy: p, Observer: seen})
				for i := range many {
					must(c.Join(t.Context(), fmt.Sprint("coord-", i)))
				}
				time.Sleep(3*p.Beat + p.Beat/2)
				st.gone.Store(true)
				time.Sleep(p.TTL - p.Beat/2) // the last good beats are half a beat old
				if n := len(of[coord.Suspended](seen)); n != many {
					t.Errorf("a TTL after the last good beats %d of %d are suspended", n, many)
				}
			})
		})
	}
}

// TestBeatsDoNotQueueBehindARefresh: what keeps the counters of one coordinator alive hangs on one key of its work, and
// nobody's heart minds (B6).
func TestBeatsDoNotQueueBehindARefresh(t *testing.T) {
	in(t, func(t *testing.T) {
		var hangs atomic.Bool
		st := &hooked{newUnsteady(), func(ctx context.Context, key string) error {
			if hangs.Load() && strings.HasPrefix(key, "set blocking:work:{u-1}:checkpoint:") {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}}
		c := openOn(t, st, coord.Config{})
		a, other := must(c.Join(t.Context(), "coord-a")), must(c.Join(t.Context(), "coord-b"))
		task := must(a.Accept(t.Context(), coord.Work{ID: "u-1"}))
		time.Sleep(6*time.Hour - time.Minute) // a minute before the refresh
		hangs.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- task.Checkpoint(ctx, []byte("half")) }()
		time.Sleep(10 * time.Minute)
		if err := other.Suspended(); err != nil {
			t.Errorf("who has nothing to do with it: %v", err)
		}
		if err := a.Suspended(); err != nil {
			t.Errorf("its owner: %v", err)
		}
		cancel()
		<-over
	})
}
