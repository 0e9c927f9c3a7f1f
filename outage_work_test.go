package coord_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
)

// TestWorkInAnOutage: behind a breaker a store that is down costs a caller one bounded effort (B1), and the error says so.
func TestWorkInAnOutage(t *testing.T) {
	for name, call := range map[string]func(context.Context, *coord.Client, *coord.Coordinator) error{
		"join": func(ctx context.Context, c *coord.Client, _ *coord.Coordinator) error {
			_, err := c.Join(ctx, "coord-b")
			return err
		},
		"add": func(ctx context.Context, c *coord.Client, _ *coord.Coordinator) error {
			return c.AddWork(ctx, coord.Work{ID: "u"})
		},
		"assign": func(ctx context.Context, c *coord.Client, _ *coord.Coordinator) error {
			return c.AssignWork(ctx, coord.Work{ID: "u"}, "coord-a")
		},
		"accept": func(ctx context.Context, _ *coord.Client, a *coord.Coordinator) error {
			_, err := a.Accept(ctx, coord.Work{ID: "u"})
			return err
		},
		"leave":  func(ctx context.Context, _ *coord.Client, a *coord.Coordinator) error { return a.Leave(ctx) },
		"decide": func(ctx context.Context, _ *coord.Client, a *coord.Coordinator) error { return decideAlone(ctx, a) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				u := newUnsteady()
				c := openOn(t, breaker.Wrap(u), coord.Config{})
				a := must(c.Join(t.Context(), "coord-a"))
				u.down.Store(true)
				began := time.Now()
				if err := call(context.Background(), c, a); !errors.Is(err, coord.ErrUnavailable) || !errors.Is(err, errDown) || time.Since(began) > time.Minute {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				u.down.Store(false)
			})
		})
	}
}

// decideAlone decides a round that has ended before.
func decideAlone(ctx context.Context, a *coord.Coordinator) error {
	r, _ := coord.Gather[string](ctx, a, "r-1", "?", coord.To("nobody"), coord.Within(0))
	_, err := r.Decide(ctx, "DEFER", "nobody answers")
	return err
}

// TestTaskInAnOutage: what a task writes outlasts an outage, but not the time in which its owner may act (D6).
func TestTaskInAnOutage(t *testing.T) {
	for name, use := range map[string]func(context.Context, *coord.Task) error{
		"checkpoint": func(ctx context.Context, t *coord.Task) error { return t.Checkpoint(ctx, []byte("half")) },
		"touch":      func(ctx context.Context, t *coord.Task) error { return t.Touch(ctx) },
		"done":       func(ctx context.Context, t *coord.Task) error { return t.Done(ctx, nil) },
	} {
		for _, down := range []time.Duration{30 * time.Second, time.Hour} {
			t.Run(name+" for "+down.String(), func(t *testing.T) {
				in(t, func(t *testing.T) { useInAnOutage(t, use, down) })
			})
		}
	}
}

func useInAnOutage(t *testing.T, use func(context.Context, *coord.Task) error, down time.Duration) {
	u := newUnsteady()
	a := joinOn(t, breaker.Wrap(u), "coord-a", coord.Config{})
	task := must(a.Accept(t.Context(), coord.Work{ID: "u"}))
	time.Sleep(time.Minute)
	u.down.Store(true)
	up := time.AfterFunc(down, func() { u.down.Store(false) })
	defer up.Stop()
	began := time.Now()
	err, took := use(context.Background(), task), time.Since(began)
	switch long := down > coord.DefaultPolicy().TTL; {
	case long && (!errors.Is(err, coord.ErrSuspended) || took > coord.DefaultPolicy().TTL):
		t.Errorf("%v after %v, and not suspended", err, took)
	case !long && (err != nil || took > down+breakerPeriod):
		t.Errorf("%v after %v", err, took)
	}
	u.down.Store(false)
}

// TestCloseEndsWork: nothing blocks once the Client is closed (W6), whether or not there is a breaker.
func TestCloseEndsWork(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		c := openOn(t, u, coord.Config{})
		a := must(c.Join(t.Context(), "coord-a"))
		task := must(a.Accept(t.Context(), coord.Work{ID: "u"}))
		u.down.Store(true)
		ended := make(chan error, 4)
		ctx := context.Background()
		go func() { _, err := a.Accept(ctx, coord.Work{ID: "v"}); ended <- err }()
		go func() { ended <- c.AddWork(ctx, coord.Work{ID: "w"}) }()
		go func() { ended <- task.Checkpoint(ctx, []byte("half")) }()
		go func() { ended <- decideAlone(ctx, a) }()
		time.Sleep(time.Second)
		_ = c.Close()
		for range cap(ended) {
			if err := <-ended; !errors.Is(err, coord.ErrClosed) {
				t.Error(err)
			}
		}
	})
}
