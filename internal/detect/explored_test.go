package detect_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/detect/detecttest"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// curt escalates at the third check.
var curt = detect.Policy{
	Beat: 500 * time.Millisecond, TTL: 2 * time.Second, Stale: 2 * time.Second,
	Warnings: 1, Spacing: time.Second, Window: 20 * time.Second, Check: time.Second,
}

// Every interleaving of small companies with few pre-emptions and faults.
func TestExhaustively(t *testing.T) {
	stall := []time.Duration{1500 * time.Millisecond, 3 * time.Second}
	for name, of := range map[string]detecttest.Company{
		"two monitors, any order":               {Options: sim.Options{Preemptions: 2}, Policy: curt, Monitors: 2, Rounds: 3},
		"one monitor and a fault":               {Options: sim.Options{Preemptions: 2, Faults: 1}, Policy: curt, Monitors: 1, Rounds: 4},
		"one monitor, a fault and a crash":      {Options: sim.Options{Faults: 1, Crashes: 1}, Policy: curt, Monitors: 1, Rounds: 4},
		"a beat that comes back, and a stall":   {Options: sim.Options{Preemptions: 1, Freezes: stall, MaxFreezes: 1}, Policy: curt, Monitors: 1, Beats: 2, Rounds: 6},
		"two warnings, two monitors, one fault": {Options: sim.Options{Faults: 1}, Policy: detecttest.Quick, Monitors: 2, Rounds: 8},
		"a late index and a fault":              {Options: sim.Options{Faults: 1, Late: true}, Policy: detecttest.Patient, Monitors: 1, Beats: 3, Rounds: 12},
	} {
		of.Check = (*detect.Watch).Check
		proof.Every(t, 3500, 50_000, proof.Trial{Name: name, Play: of.Play})
	}
}
