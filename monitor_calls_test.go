package coord_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// TestHealthInAnObserver: no event of a monitor holds what Health needs. Whoever is told of a warning, or of an end, finds
// it; also while a look goes on, where a record that does not verify is refused.
func TestHealthInAnObserver(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		u := newUnsteady()
		host := beside(u)
		joinOn(t, host, "p", coord.Config{})
		var m *coord.Monitor
		w := &record{then: func(e coord.Event) { knows(t, m.Health(), e) }}
		c := openOn(t, u, coord.Config{Observer: w})
		m = c.Monitor()
		go func() { _ = m.Run(ctx) }()
		time.Sleep(time.Minute)
		host.down.Store(true)
		time.Sleep(200 * time.Second)
		if err := u.SetEX(ctx, "blocking:heartbeat:p", []byte("junk"), time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second) // a Check and a half
		host.down.Store(false)
		time.Sleep(time.Minute)
		host.down.Store(true)
		time.Sleep(10 * time.Minute)
		if len(of[coord.Recovered](w)) != 1 || len(of[coord.Dead](w)) != 1 || len(of[coord.SignalRefused](w)) == 0 {
			t.Errorf("told of %+v", w.reasons())
		}
		cancel()
		synctest.Wait()
	})
}

// knows: what a monitor knows includes what it has just told.
func knows(t *testing.T, known []coord.Health, e coord.Event) {
	switch e := e.(type) {
	case coord.Warned:
		if len(known) != 1 || known[0].Warnings != e.K {
			t.Errorf("%+v: it knows %+v", e, known)
		}
	case coord.Recovered:
		if len(known) != 1 || known[0].Warnings != 0 || known[0].State != "healthy" {
			t.Errorf("%+v: it knows %+v", e, known)
		}
	case coord.Dead:
		if len(known) != 1 || known[0].State != "dead" {
			t.Errorf("%+v: it knows %+v", e, known)
		}
	}
}

// TestX3ABrokenCallbackEndsNoMonitor: OnDead, Spawn and Heirs break, each at its first call. The monitor goes on, and what
// the dead one owned comes to an heir.
func TestX3ABrokenCallbackEndsNoMonitor(t *testing.T) {
	for name, fails := range map[string]func(){"panic": func() { panic("oh") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				u, w := newUnsteady(), &record{}
				host := beside(u)
				must(joinOn(t, host, "p", coord.Config{}).Accept(ctx, coord.Work{ID: "u-1"}))
				c, calls := openOn(t, u, coord.Config{Observer: w}), []string{}
				called := func(what string) {
					if calls = append(calls, what); !slices.Contains(calls[:len(calls)-1], what) {
						fails()
					}
				}
				m := c.Monitor(
					coord.OnDead(func(context.Context, coord.Death) error { called("OnDead"); return nil }),
					coord.Spawn(func(context.Context, coord.Orphan) error { called("Spawn"); return nil }),
					coord.Heirs(func(_ string, living []coord.Heir) string { called("Heirs"); return living[0].ID }),
				)
				go func() { _ = m.Run(ctx) }()
				time.Sleep(time.Minute)
				host.down.Store(true)
				time.Sleep(5 * time.Minute)
				if err := join(t, c, "heir").OnTakeOver(finish); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				cancel()
				synctest.Wait()
				if all := strings.Join(calls, " "); all != "OnDead Spawn Spawn Heirs Heirs" || len(of[coord.WorkDone](w)) != 1 {
					t.Errorf("called %s; %d units are done", all, len(of[coord.WorkDone](w)))
				}
				toldOfBroken(t, w)
			})
		})
	}
}

func toldOfBroken(t *testing.T, w *record) {
	t.Helper()
	var units, about []string
	for _, e := range of[coord.HandlerPanicked](w) {
		if units = append(units, e.Unit); e.By != "monitor" || e.Value == nil || !strings.Contains(e.Stack, "monitor_calls_test.go") {
			t.Errorf("%+v", e)
		}
	}
	for _, e := range of[coord.HandlerFailed](w) {
		about = append(about, e.About)
	}
	if !slices.Equal(units, []string{"", "u-1", "u-1"}) ||
		!slices.Equal(about, []string{"the death of p/1", "an heir for unit u-1", "an heir for unit u-1"}) {
		t.Errorf("told of units %q, and of %q", units, about)
	}
}

func TestBoundsOfTheZeroPolicy(t *testing.T) {
	low, high := coord.Policy{}.Bounds()
	if wantLow, wantHigh := coord.DefaultPolicy().Bounds(); low != wantLow || high != wantHigh {
		t.Errorf("%v to %v", low, high)
	}
	coord.Policy{Beat: 1, Stale: -1, Warnings: 1 << 40}.Bounds() // no panic
}
