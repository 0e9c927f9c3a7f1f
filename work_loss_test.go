package coord_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
)

// runs counts how often each unit was run.
type runs struct {
	mu  sync.Mutex
	ran map[string]int
}

func (r *runs) run(task *coord.Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ran == nil {
		r.ran = map[string]int{}
	}
	r.ran[task.ID()]++
}

// keeps is a handler that goes on until its task ends.
func (r *runs) keeps(ctx context.Context, task *coord.Task) error {
	r.run(task)
	<-ctx.Done()
	return nil
}

// finishes is a handler that is done at once.
func (r *runs) finishes(ctx context.Context, task *coord.Task) error {
	r.run(task)
	return task.Done(ctx, nil)
}

func (r *runs) want(t *testing.T, want map[string]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(r.ran, want) {
		t.Errorf("ran %v, want %v", r.ran, want)
	}
}

// assign gives an heir a unit as soon as he is known to be one.
func assign(t *testing.T, c *coord.Client, unit, heir string) {
	t.Helper()
	err := c.AssignWork(t.Context(), coord.Work{ID: unit}, heir)
	for until := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(until); time.Sleep(time.Millisecond) {
		err = c.AssignWork(t.Context(), coord.Work{ID: unit}, heir)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// forget deletes what stands under the prefixes.
func forget(t *testing.T, u *unsteady, prefixes ...string) {
	t.Helper()
	for _, prefix := range prefixes {
		for _, key := range must(u.Keys(t.Context(), prefix)) {
			must(u.Expire(t.Context(), key, 0))
		}
	}
}

// TestAssignedAfterALoss: X3, the lost store gives out the tickets of an heir's list a second time. Whoever is given a
// unit under one that he knows from before runs it, however soon it comes.
func TestAssignedAfterALoss(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} {
		t.Run(wait.String(), func(t *testing.T) {
			in(t, func(t *testing.T) {
				u, r := newUnsteady(), &runs{}
				a, c := joinOn(t, u, "coord-a", coord.Config{}), openOn(t, u, coord.Config{})
				if err := a.OnTakeOver(r.keeps); err != nil {
					t.Fatal(err)
				}
				assign(t, c, "u-1", "coord-a")
				time.Sleep(10 * time.Second)
				u.lose()
				time.Sleep(wait)
				assign(t, c, "u-2", "coord-a")
				time.Sleep(2 * time.Minute)
				assign(t, c, "u-3", "coord-a")
				time.Sleep(2 * time.Minute)
				r.want(t, map[string]int{"u-1": 1, "u-2": 1, "u-3": 1})
			})
		})
	}
}

// TestAssignedAfterASmallLoss: the same where the store has lost no more than its last second, and nothing tells so but the
// heir's list.
func TestAssignedAfterASmallLoss(t *testing.T) {
	in(t, func(t *testing.T) {
		u, r := newUnsteady(), &runs{}
		a, c := joinOn(t, u, "coord-a", coord.Config{}), openOn(t, u, coord.Config{})
		if err := a.OnTakeOver(r.keeps); err != nil {
			t.Fatal(err)
		}
		assign(t, c, "u-1", "coord-a")
		time.Sleep(10 * time.Second)
		assign(t, c, "u-2", "coord-a")
		time.Sleep(10 * time.Second)
		forget(t, u, "blocking:decide:{work/u-2/", "blocking:work:intents:{coord-a/1}:entry:2")
		if err := u.SetEX(t.Context(), "blocking:work:intents:{coord-a/1}:tail", []byte("1"), 22*day); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		assign(t, c, "u-3", "coord-a")
		time.Sleep(2 * time.Minute)
		r.want(t, map[string]int{"u-1": 1, "u-2": 1, "u-3": 1})
	})
}

// TestDoneBeforeALoss: X3, a unit that was done before the loss is added again: whoever claims it runs it, for nobody else
// can.
func TestDoneBeforeALoss(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} {
		t.Run(wait.String(), func(t *testing.T) {
			in(t, func(t *testing.T) {
				u, r := newUnsteady(), &runs{}
				a, c := joinOn(t, u, "coord-a", coord.Config{}), openOn(t, u, coord.Config{})
				if err := a.OnTakeOver(r.finishes, coord.Claiming(10)); err != nil {
					t.Fatal(err)
				}
				for i := range 2 {
					if err := c.AddWork(t.Context(), coord.Work{ID: "u-1"}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					if i == 0 {
						u.lose()
						time.Sleep(wait)
					}
				}
				time.Sleep(2 * time.Minute)
				r.want(t, map[string]int{"u-1": 2})
			})
		})
	}
}

// TestAddedAfterALoss: X3, as many units are added to the lost store as it held before, or more: they are all claimed.
func TestAddedAfterALoss(t *testing.T) {
	for _, added := range []int{5, 6} {
		t.Run(fmt.Sprint(added), func(t *testing.T) {
			in(t, func(t *testing.T) {
				u, r, want := newUnsteady(), &runs{}, map[string]int{}
				a, c := joinOn(t, u, "coord-a", coord.Config{}), openOn(t, u, coord.Config{})
				if err := a.OnTakeOver(r.finishes, coord.Claiming(10)); err != nil {
					t.Fatal(err)
				}
				add := func(id string) {
					want[id] = 1
					if err := c.AddWork(t.Context(), coord.Work{ID: id}); err != nil {
						t.Fatal(err)
					}
				}
				for i := range 5 {
					add(fmt.Sprint("u-", i))
				}
				time.Sleep(10 * time.Second)
				u.lose()
				for i := range added {
					add(fmt.Sprint("v-", i))
				}
				time.Sleep(2 * time.Minute)
				r.want(t, want)
			})
		})
	}
}

// TestNothingRunsTwiceAfterALoss: X5, everything is looked for again, and everything is still there. What runs here, rests
// or was done is not begun a second time.
func TestNothingRunsTwiceAfterALoss(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen, kept, done := newUnsteady(), &record{}, &runs{}, &runs{}
		a, c := joinOn(t, u, "coord-a", coord.Config{Observer: seen}), openOn(t, u, coord.Config{})
		task := must(a.Accept(t.Context(), coord.Work{ID: "accepted"}))
		if err := a.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			if task.ID() == "done" {
				return done.finishes(ctx, task)
			}
			return kept.keeps(ctx, task)
		}); err != nil {
			t.Fatal(err)
		}
		assign(t, c, "kept", "coord-a")
		assign(t, c, "done", "coord-a")
		time.Sleep(10 * time.Second)
		forget(t, u, "blocking:generation")
		time.Sleep(2 * time.Minute)
		if len(of[coord.StoreRegressed](seen)) == 0 || task.Context().Err() != nil {
			t.Error(of[coord.StoreRegressed](seen), context.Cause(task.Context()))
		}
		kept.want(t, map[string]int{"kept": 1})
		done.want(t, map[string]int{"done": 1})
	})
}

// TestALossWhileAcceptingRunsNothingTwice: X5, the same for what is taken and does not run yet.
func TestALossWhileAcceptingRunsNothingTwice(t *testing.T) {
	in(t, func(t *testing.T) {
		u, r, up := newUnsteady(), &runs{}, make(chan struct{})
		a := joinOn(t, &hooked{u, func(_ context.Context, key string) error {
			if strings.HasPrefix(key, "set blocking:work:{u-1}:checkpoint:") {
				<-up
			}
			return nil
		}}, "coord-a", coord.Config{})
		if err := a.OnTakeOver(r.keeps); err != nil {
			t.Fatal(err)
		}
		accepted := make(chan acceptance, 1)
		go func() {
			task, err := a.Accept(t.Context(), coord.Work{ID: "u-1"})
			accepted <- acceptance{task, err}
		}()
		time.Sleep(10 * time.Second)
		forget(t, u, "blocking:generation")
		time.Sleep(2 * time.Minute)
		close(up)
		if got := <-accepted; got.err != nil || got.task.Context().Err() != nil {
			t.Error(got)
		}
		time.Sleep(2 * time.Minute)
		r.want(t, nil)
	})
}

// TestALossWhileSuspendedRunsNothingTwice: X5, the same for what rests: it is resumed, and not begun again.
func TestALossWhileSuspendedRunsNothingTwice(t *testing.T) {
	in(t, func(t *testing.T) {
		u, r := newUnsteady(), &runs{}
		host := beside(u)
		a, c := joinOn(t, host, "coord-a", coord.Config{}), openOn(t, u, coord.Config{})
		if err := a.OnTakeOver(r.keeps); err != nil {
			t.Fatal(err)
		}
		assign(t, c, "u-1", "coord-a")
		time.Sleep(10 * time.Second)
		host.down.Store(true)
		time.Sleep(2 * time.Minute)
		forget(t, u, "blocking:generation")
		host.down.Store(false)
		time.Sleep(2 * time.Minute)
		r.want(t, map[string]int{"u-1": 2})
	})
}

// TestProgressAfterALoss: X3, the owner of a unit after the loss makes progress, though not as much yet as the one before.
func TestProgressAfterALoss(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u, r := newUnsteady(), &runs{}
		m := openOn(t, u, coord.Config{}).Monitor()
		go func() { _ = m.Run(ctx) }()
		unit := coord.Work{ID: "u-1", Progress: 3 * time.Minute}
		before := must(joinOn(t, u, "coord-a", coord.Config{}).Accept(ctx, unit))
		for range 100 {
			if err := before.Touch(ctx); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Second)
		u.lose()
		b, heir := joinOn(t, u, "coord-b", coord.Config{}), joinOn(t, u, "coord-c", coord.Config{})
		if err := heir.OnTakeOver(r.keeps); err != nil {
			t.Fatal(err)
		}
		task := must(b.Accept(ctx, unit))
		for range 20 {
			time.Sleep(time.Minute)
			if err := task.Touch(ctx); err != nil {
				t.Fatal(err)
			}
		}
		r.want(t, nil)
	})
}

// TestDeadlinesAfterALoss: X3, the deadline of a unit that was accepted after the loss stands under a ticket that the
// monitor knows from before. It is watched all the same.
func TestDeadlinesAfterALoss(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u, r := newUnsteady(), &runs{}
		m := openOn(t, u, coord.Config{}).Monitor()
		go func() { _ = m.Run(ctx) }()
		a, heir := joinOn(t, u, "coord-a", coord.Config{}), joinOn(t, u, "coord-b", coord.Config{})
		if err := heir.OnTakeOver(r.keeps); err != nil {
			t.Fatal(err)
		}
		must(a.Accept(ctx, coord.Work{ID: "u-1", Progress: time.Hour}))
		time.Sleep(30*time.Second + time.Millisecond) // not at the moment of a check
		u.lose()
		must(a.Accept(ctx, coord.Work{ID: "u-2", Progress: time.Minute}))
		time.Sleep(5 * time.Minute)
		r.want(t, map[string]int{"u-2": 1})
	})
}

// TestCheckpointAfterAnOutage: every checkpoint that was tried meanwhile has burnt a version. The first one afterwards
// makes up for all of them.
func TestCheckpointAfterAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		task := must(joinOn(t, breaker.Wrap(u), "coord-a", coord.Config{}).Accept(t.Context(), coord.Work{ID: "u-1"}))
		try := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return task.Checkpoint(ctx, []byte("x"))
		}
		u.down.Store(true)
		for down := time.Now(); time.Since(down) < time.Minute; {
			if try() == nil {
				t.Fatal("nothing was written")
			}
		}
		u.down.Store(false)
		time.Sleep(breakerPeriod)
		if err := try(); err != nil {
			t.Error(err)
		}
	})
}

// TestCheckpointAfterALoss: the counter of checkpoints is gone, and the next one need not wait until it is as high again.
func TestCheckpointAfterALoss(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		task := must(joinOn(t, u, "coord-a", coord.Config{}).Accept(t.Context(), coord.Work{ID: "u-1"}))
		for range 3000 {
			if err := task.Checkpoint(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		u.lose()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := task.Checkpoint(ctx, []byte("y")); err != nil {
			t.Error(err)
		}
	})
}
