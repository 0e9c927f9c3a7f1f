package coord_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// beside is another way to what u holds, which can be cut off by itself.
func beside(u *unsteady) *unsteady {
	other := &unsteady{clock: u.clock}
	other.inner.Store(u.inner.Load())
	return other
}

// TestMonitorNoticesALossByItself: D2, the store and the host of x restart, and the store has lost its data. The registry
// is as long again as it was, and x, which counts from 1 again, beats below what was heard of it before. A monitor in a
// process where nobody has joined must not take that for silence.
func TestMonitorNoticesALossByItself(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		u, w := newUnsteady(), &record{}
		host := beside(u)
		m := openOn(t, u, coord.Config{Observer: w}).Monitor()
		go func() { _ = m.Run(ctx) }()
		joinOn(t, host, "x", coord.Config{})
		joinOn(t, u, "y", coord.Config{})
		time.Sleep(20*time.Minute + time.Second)
		host.down.Store(true)
		u.down.Store(true)
		time.Sleep(20 * time.Second)
		u.lose()
		u.down.Store(false)
		x := joinOn(t, u, "x", coord.Config{})
		time.Sleep(10 * time.Minute)
		if x.Incarnation() != 1 || x.Context().Err() != nil {
			t.Errorf("x/%d, which lives: %v", x.Incarnation(), context.Cause(x.Context()))
		}
		if warned, dead := of[coord.Warned](w), of[coord.Dead](w); len(warned)+len(dead) > 0 {
			t.Errorf("accused: %+v %+v", warned, dead)
		}
		cancel()
		synctest.Wait()
	})
}

// TestTheDeadOfALostStoreHideNobody: somebody is decided dead, his work waits for an heir, and the store loses its data.
// He joins again, under the same number or a lower one: he lives, and when he dies that is found, too.
func TestTheDeadOfALostStoreHideNobody(t *testing.T) {
	for joins := 1; joins <= 2; joins++ {
		t.Run(fmt.Sprint("incarnation ", joins), func(t *testing.T) { in(t, func(t *testing.T) { loseWithTheDead(t, joins) }) })
	}
}

func loseWithTheDead(t *testing.T, joins int) {
	ctx, cancel := context.WithCancel(t.Context())
	u, w := newUnsteady(), &record{}
	host := beside(u)
	var p *coord.Coordinator
	for range joins {
		p = joinOn(t, host, "p", coord.Config{})
	}
	if _, err := p.Accept(ctx, coord.Work{ID: "u"}); err != nil {
		t.Fatal(err)
	}
	c, told := openOn(t, u, coord.Config{Observer: w}), 0
	join(t, c, "mon")
	m := c.Monitor(coord.OnDead(func(context.Context, coord.Death) error { told++; return nil }))
	go func() { _ = m.Run(ctx) }()
	time.Sleep(time.Minute)
	host.down.Store(true)
	time.Sleep(10 * time.Minute)
	u.lose()
	time.Sleep(time.Minute)
	again := beside(u)
	p = joinOn(t, again, "p", coord.Config{})
	time.Sleep(10 * time.Minute)
	if p.Context().Err() != nil || m.Health()[1].State != "healthy" {
		t.Errorf("p/%d, which lives: %v, %+v", p.Incarnation(), context.Cause(p.Context()), m.Health())
	}
	again.down.Store(true)
	time.Sleep(10 * time.Minute)
	cancel()
	synctest.Wait()
	if dead := of[coord.Dead](w); len(dead) != 2 || told != 2 {
		t.Errorf("of two deaths: %+v, and OnDead %d times", dead, told)
	}
}
