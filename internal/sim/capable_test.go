package sim_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/store"
)

// Of a batch that fails, what happened and what was answered each end somewhere in it, and nothing is answered that did
// not happen. Its ghost happens as a whole.
func TestBatchIsCutShort(t *testing.T) {
	became := map[string]bool{}
	_, all := sim.Explore(10_000, func(c sim.Chooser) bool {
		w := sim.New(c, sim.Options{Faults: 1, Batch: true})
		answered := 0
		w.Spawn("a", func(a *sim.Actor) { answered = batch(a.Store()) })
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		happened, _ := w.Store.Keys(context.Background(), "")
		became[fmt.Sprintf("%d happened, %d answered", len(happened), answered)] = true
		return true
	})
	want := []string{
		"0 happened, 0 answered", "1 happened, 0 answered", "1 happened, 1 answered", "2 happened, 0 answered",
		"2 happened, 1 answered", "2 happened, 2 answered", "3 happened, 0 answered", "3 happened, 1 answered",
		"3 happened, 2 answered", "3 happened, 3 answered",
	}
	if got := slices.Sorted(maps.Keys(became)); !all || !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// batch writes three keys in one step, and returns how many were answered.
func batch(s store.Store) (answered int) {
	var ops []store.Op
	for _, key := range []string{"x", "y", "z"} {
		ops = append(ops, store.SetEXOp(key, nil, time.Hour))
	}
	for _, r := range store.Batch(context.Background(), s, ops) {
		if r.Err == nil {
			answered++
		}
	}
	return answered
}

// An actor has what the run wants, or its ground says, and the store has.
func TestCapabilities(t *testing.T) {
	mem := sim.New(sim.Random(0), sim.Options{}).Store
	for _, c := range []struct {
		ground sim.Ground
		opts   sim.Options
		want   bool
	}{
		{sim.Ground{}, sim.Options{}, false},
		{sim.Ground{}, sim.Options{Append: true, Batch: true, Late: true}, true},
		{sim.Ground{Capable: true}, sim.Options{}, true},
		{sim.Ground{Store: struct{ store.Store }{mem}, Capable: true}, sim.Options{Append: true}, false},
	} {
		w := sim.On(c.ground, sim.Random(0), c.opts)
		var caps store.Capabilities
		w.Spawn("a", func(a *sim.Actor) { caps = store.CapabilitiesOf(a.Store()) })
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		if (caps.Append != nil) != c.want || (caps.Batch != nil) != c.want || (caps.Late != nil) != c.want {
			t.Errorf("%+v: has %+v", c.opts, caps)
		}
	}
}

// Who is added to a run that is over leaves no coroutine behind.
func TestSpawnedTooLate(t *testing.T) {
	w := sim.New(sim.Random(0), sim.Options{})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	if a := w.Spawn("late", func(*sim.Actor) { t.Error("runs") }); !a.Ended() {
		t.Error("it waits for its turn")
	}
}
