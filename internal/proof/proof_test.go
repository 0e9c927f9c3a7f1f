package proof_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/store"
)

// counters are actors that count by Get and SetEX, which loses counts.
func counters(on sim.Ground, c sim.Chooser) (*sim.World, error) {
	w := sim.On(on, c, sim.Options{Preemptions: -1, Freezes: []time.Duration{time.Second}, MaxFreezes: 3})
	for i := range 3 {
		w.Spawn(fmt.Sprint("counter", i), func(a *sim.Actor) { count(a.Store()) })
	}
	if err := w.Run(); err != nil {
		return w, err
	}
	if n, _ := w.Store.Get(context.Background(), "n"); len(n) != 3 {
		return w, fmt.Errorf("N1: counted to %d", len(n))
	}
	return w, nil
}

func count(s store.Store) {
	n, _ := s.Get(context.Background(), "n")
	_ = s.SetEX(context.Background(), "n", append(n, '|'), time.Hour)
}

// What is left of a failing run is what it takes to fail, and it fails again.
func TestShrink(t *testing.T) {
	play := func(c sim.Chooser) (*sim.World, error) { return counters(sim.Ground{}, c) }
	for seed := range uint64(100) {
		tape := &sim.Recorder{Chooser: sim.Random(seed)}
		_, err := play(tape)
		if err == nil {
			continue
		}
		w, shrunk := proof.Shrink(play, 3000, tape.Tape, err)
		if proof.Invariant(shrunk) != "N1" || strings.Contains(w.Transcript(), "time passes") || w.StepsTaken() > 10 {
			t.Fatalf("%v\n%s", shrunk, w.Transcript())
		}
		return
	}
	t.Fatal("no seed loses a count")
}
