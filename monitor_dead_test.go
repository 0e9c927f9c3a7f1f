package coord_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestOnDeadIsToldWhoeverHandsOver: a monitor without OnDead is faster. The one that has it is told all the same, once for
// each death by silence, and not of those who left; one that begins when all is done is told of nobody.
func TestOnDeadIsToldWhoeverHandsOver(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st := memstore.New()
		host := newUnsteady()
		host.inner.Store(st)
		for i := range 6 {
			joinOn(t, host, fmt.Sprint("p", i), coord.Config{})
		}
		left := joinOn(t, st, "left", coord.Config{})
		c := openOn(t, st, coord.Config{})
		watch := func(options ...coord.MonitorOption) *coord.Monitor {
			m := c.Monitor(options...)
			go func() { _ = m.Run(ctx) }()
			time.Sleep(5 * time.Second)
			return m
		}
		told, late := map[string]int{}, map[string]int{}
		tell := func(told map[string]int) coord.MonitorOption {
			return coord.OnDead(func(_ context.Context, d coord.Death) error { told[d.ID]++; return nil })
		}
		watch()
		m := watch(tell(told))
		time.Sleep(time.Minute)
		host.down.Store(true)
		if err := left.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		watch(tell(late))
		time.Sleep(time.Minute)
		if known := m.Health(); len(known) > 0 {
			t.Errorf("it still knows %v", known)
		}
		cancel()
		synctest.Wait()
		if fmt.Sprint(told) != "map[p0:1 p1:1 p2:1 p3:1 p4:1 p5:1]" || len(late) > 0 {
			t.Errorf("told of %v, and later of %v", told, late)
		}
	})
}
