package work_test

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
)

var long = flag.Bool("coord.long", false, "explore far more interleavings")

// sticky chooses by seed. Its runs differ in how long an actor goes on undisturbed, and in how many writes come late.
type sticky struct {
	r    *rand.Rand
	stay int // of 16
	late bool
}

func byChance(seed uint64) sim.Chooser {
	r := rand.New(rand.NewPCG(seed, 7))
	return sticky{r, []int{0, 8, 12, 14, 15}[r.IntN(5)], r.IntN(2) > 0}
}

func (s sticky) Choose(what string, n int) int {
	switch {
	case what == "next" && s.r.IntN(16) < s.stay, what != "next" && s.r.IntN(24) > 0:
		return 0
	case what == "outcome" && s.late && n > 3:
		return 3 // the answer is lost, and it happens later
	}
	return s.r.IntN(n)
}

var (
	everything = plan{units: 2, rivals: true, owners: 3, rounds: 4, states: 2, monitors: 3, targets: 2, leaves: 1, spawns: true, rejoins: true, reckless: true, stalls: true}
	hazards    = sim.Options{Faults: 3, Crashes: 2, Preemptions: -1, Freezes: []time.Duration{40 * time.Second}, MaxFreezes: 1}
)

func TestRandomly(t *testing.T) {
	runs := uint64(1000)
	if *long {
		runs = 100_000
	}
	counts := map[string]int{}
	for seed := range runs {
		opts := hazards
		opts.Append = seed%3 == 0
		s, err := play(byChance(seed), opts, everything, real())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, s.world.Transcript())
		}
		for what, n := range s.world.Counts() {
			counts[what] += n
		}
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%8d %s", counts[what], what)
	}
}
