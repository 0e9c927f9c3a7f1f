package coord_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// TestMonitorTellsTheEndOfAnOutage: failed checks are reported, and once that the store answers again.
func TestMonitorTellsTheEndOfAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st, w := newUnsteady(), &record{}
		c, ended := openOn(t, st, coord.Config{Observer: w}), make(chan error)
		go func() { ended <- c.Monitor().Run(ctx) }()
		for range 2 {
			time.Sleep(time.Minute + time.Second)
			st.down.Store(true)
			time.Sleep(time.Minute)
			st.down.Store(false)
		}
		time.Sleep(time.Minute)
		if failed, restored := len(of[coord.StoreFailed](w)), len(of[coord.StoreRestored](w)); failed < 12 || restored != 2 {
			t.Errorf("%d failures, %d times restored", failed, restored)
		}
		cancel()
		<-ended
	})
}

// forgetful is cut off in the moment in which it has decided a death, and never learns that it has.
type forgetful struct{ *unsteady }

func (f forgetful) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := f.unsteady.SetEX(ctx, key, value, ttl)
	if strings.HasPrefix(key, "blocking:decide:{dead/") && strings.HasSuffix(key, ":decision") {
		f.down.Store(true)
		return errDown
	}
	return err
}

// TestDeathIsSaidByTheOneThatWasCutOff: D4, a monitor decides a death and is cut off before it learns so. Another one
// finishes everything meanwhile. The first one says so when it is back: else nobody would.
func TestDeathIsSaidByTheOneThatWasCutOff(t *testing.T) {
	in(t, func(t *testing.T) {
		shared, w := newUnsteady(), &record{}
		away := func() *unsteady {
			u := &unsteady{clock: shared.clock}
			u.inner.Store(shared.inner.Load())
			return u
		}
		doomed, first := away(), forgetful{away()}
		joinOn(t, doomed, "coord-a", coord.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		watch := func(st store.Store) {
			m := openOn(t, st, coord.Config{Observer: w}).Monitor()
			go func() { _ = m.Run(ctx) }()
		}
		watch(first)
		time.Sleep(time.Minute)
		doomed.down.Store(true)
		for !first.down.Load() {
			time.Sleep(time.Second)
		}
		watch(shared)
		time.Sleep(2 * time.Minute)
		if _, err := shared.Get(ctx, "blocking:handled:coord-a:1"); err != nil {
			t.Fatalf("nobody has finished it: %v", err)
		}
		first.down.Store(false)
		time.Sleep(time.Minute)
		if n := len(of[coord.Dead](w)); n != 1 {
			t.Errorf("said %d times", n)
		}
		cancel()
	})
}
