package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/sim"
)

// curt escalates at the third check.
var curt = detect.Policy{
	Beat: 500 * time.Millisecond, TTL: 2 * time.Second, Stale: 2 * time.Second,
	Warnings: 1, Spacing: time.Second, Window: 20 * time.Second, Check: time.Second,
}

// Every interleaving of small companies with few pre-emptions and faults.
func TestExhaustively(t *testing.T) {
	for name, tt := range map[string]struct {
		opts sim.Options
		of   cast
	}{
		"two monitors, any order":               {sim.Options{Preemptions: 2}, cast{policy: curt, monitors: 2, rounds: 3}},
		"one monitor and a fault":               {sim.Options{Preemptions: 2, Faults: 1}, cast{policy: curt, monitors: 1, rounds: 4}},
		"one monitor, a fault and a crash":      {sim.Options{Faults: 1, Crashes: 1}, cast{policy: curt, monitors: 1, rounds: 4}},
		"a beat that comes back, and a stall":   {sim.Options{Preemptions: 1, Freezes: []time.Duration{1500 * time.Millisecond, 3 * time.Second}, MaxFreezes: 1}, cast{policy: curt, monitors: 1, beats: 2, rounds: 6}},
		"two warnings, two monitors, one fault": {sim.Options{Faults: 1}, cast{policy: quick, monitors: 2, rounds: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.of.check = (*detect.Watch).Check
			var wrong string
			n, all := sim.Explore(runs(2500), func(c sim.Chooser) bool {
				p, err := perform(c, tt.opts, tt.of)
				if err != nil {
					wrong = fmt.Sprintf("%v\n%s", err, p.world.Transcript())
				}
				return err == nil
			})
			if wrong != "" {
				t.Fatal(wrong)
			}
			t.Logf("%d interleavings; all of them: %v", n, all)
		})
	}
}

// gentle lets less go wrong, so that it goes wrong in the same place more often.
var gentle = sim.Options{
	Faults: 3, Preemptions: -1,
	Freezes: []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}, MaxFreezes: 2,
}

// What a company shows of rules that matter when time passes between two operations, within a stated number of runs.
func TestInterleavedMutants(t *testing.T) {
	if !thorough {
		t.Skip("one goroutine at a time")
	}
	for name, tt := range map[string]struct {
		mutant detect.Mutant
		opts   sim.Options
	}{
		"that a pass took long is not noticed":       {detect.Mutant{Rash: true}, hazards},
		"silence counts from the question":           {detect.Mutant{Early: true}, gentle},
		"silence grows across the monitor's own gap": {detect.Mutant{NoDoubt: true}, hazards},
		"silence grows across a failed poll":         {detect.Mutant{Deaf: true}, gentle},
		"warnings without spacing":                   {detect.Mutant{Hasty: true}, hazards},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 10_000
			for seed := range uint64(most) {
				c := sparse(seed)
				of := company(c, tt.mutant.Check)
				of.rounds += 4
				if p, err := perform(c, tt.opts, of); err != nil {
					t.Logf("found in run %d: %v\n%s", seed+1, err, p.world.Transcript())
					return
				}
			}
			t.Fatalf("survived %d runs", most)
		})
	}
}
