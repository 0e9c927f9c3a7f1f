package work_test

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work/worktest"
)

func TestInvariants(t *testing.T) { proof.Hold(t, proof.Memory, proof.Usual, worktest.Trials()...) }

// TestExhaustively plays a hand-over in all its interleavings, as far as the limits go.
func TestExhaustively(t *testing.T) {
	for _, b := range []struct {
		name     string
		monitors int
		opts     sim.Options
		limit    int // of an ordinary run
	}{
		{"one monitor, a lost operation", 1, sim.Options{Faults: 1}, 15_000},
		{"one monitor, two preemptions", 1, sim.Options{Preemptions: 2, Append: true, Batch: true}, 15_000},
		{"one monitor, a crash, a preemption", 1, sim.Options{Crashes: 1, Preemptions: 1, Append: true, Batch: true}, 2_000},
		{"two monitors", 2, sim.Options{}, 15_000},
		{"two monitors, a preemption", 2, sim.Options{Preemptions: 1, Append: true, Batch: true}, 25_000},
		{"two monitors, a crash", 2, sim.Options{Crashes: 1, Append: true, Batch: true}, 2_000},
		{"two monitors, a lost operation", 2, sim.Options{Faults: 1, Append: true, Batch: true}, 2_000},
	} {
		proof.Every(t, b.limit, 1_000_000, worktest.HandOver(b.name, b.monitors, b.opts))
	}
}
