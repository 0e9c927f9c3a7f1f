package work_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"pgregory.net/rapid"
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
	everything = plan{units: 2, rivals: true, owners: 3, rounds: 4, states: 2, monitors: 3, targets: 2, leaves: 2, spawns: true, rejoins: true, reckless: true, stalls: true}
	hazards    = sim.Options{Faults: 3, Crashes: 2, Preemptions: -1, Freezes: []time.Duration{40 * time.Second}, MaxFreezes: 1}
)

// property lets rapid draw the runs of a plan, with everything that may go wrong, on both ways to append.
func property(p plan) func(*testing.T) {
	return func(t *testing.T) {
		for _, atOnce := range []bool{false, true} {
			t.Run(fmt.Sprintf("append in one step %v", atOnce), rapid.MakeCheck(func(t *rapid.T) {
				opts := hazards
				opts.Append = atOnce
				if s, err := play(sim.Drawn(t), opts, p, real()); err != nil {
					t.Fatalf("%v\n%s", err, s.world.Transcript())
				}
			}))
		}
	}
}

// The judge keeps all of I1 to I3 and X1 to X5 in every one of these; each has more of what endangers its own.

func TestX1OneOwnerPerEpoch(t *testing.T) {
	property(plan{units: 1, rivals: true, owners: 3, rounds: 3, states: 1, monitors: 3, targets: 2, spawns: true})(t)
}

func TestX2OneResultPerUnit(t *testing.T) {
	property(plan{units: 2, owners: 2, rounds: 3, states: 0, monitors: 3, targets: 2, stalls: true})(t)
}

func TestX3WhatIsAcceptedIsDoneOrFound(t *testing.T) {
	property(plan{units: 2, owners: 3, rounds: 3, states: 1, monitors: 2, targets: 2, leaves: 2, rejoins: true, reckless: true})(t)
}

func TestX4ALowerEpochCommitsNothing(t *testing.T) {
	property(plan{units: 1, owners: 3, rounds: 5, states: 3, monitors: 2, targets: 2, stalls: true})(t)
}

func TestX5EpochsRise(t *testing.T) {
	property(plan{units: 1, owners: 3, rounds: 4, states: 1, monitors: 3, targets: 3, spawns: true, stalls: true})(t)
}

// scaled is how many runs there are to be.
func scaled(ordinary, lengthy int) int {
	switch {
	case *long:
		return lengthy
	case !thorough:
		return ordinary / 20
	}
	return ordinary
}

// mustBeSeen are the states without which the runs would prove little.
var mustBeSeen = []string{
	"a Leave that stopped half-way was finished", "a claim that stopped half-way was closed", "an heir was dead",
	"begun", "claimed", "claimed a later epoch", "done", "fenced: not begun", "fenced: not checkpoint",
	"fenced: not claimed", "fenced: not done", "ghost applied", "handed over in a second epoch", "left", "no heir",
	"stalled", "time jumped", "two heirs for one epoch", "crashed after it", "crashed before it", "answer lost",
}

func TestRandomly(t *testing.T) {
	runs := uint64(scaled(3000, 200_000))
	counts := map[string]int{}
	for seed := range runs {
		opts := perils[seed%uint64(len(perils))]
		s, err := play(byChance(seed), opts, scenes[seed/4%uint64(len(scenes))], real())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, s.world.Transcript())
		}
		for what, n := range s.world.Counts() {
			counts[what] += n
		}
	}
	for _, what := range mustBeSeen {
		t.Logf("%8d %s", counts[what], what)
		if counts[what] == 0 && thorough {
			t.Errorf("never seen: %s", what)
		}
	}
}

// small are configurations that are played in all their interleavings, as far as the limits go: one unit, its owner, two
// heirs, two monitors, the first of which finds an heir dead too.
var (
	small      = plan{units: 1, owners: 3, rounds: 2, states: 1, monitors: 2, targets: 2, exact: true}
	smallest   = plan{units: 1, owners: 2, rounds: 2, states: 1, monitors: 1, targets: 1, exact: true}
	boundaries = []struct {
		plan  plan
		opts  sim.Options
		limit int // of an ordinary run
	}{
		{smallest, sim.Options{Preemptions: 1, Append: true}, 10_000},
		{smallest, sim.Options{Preemptions: 2, Append: true}, 2_000},
		{smallest, sim.Options{Faults: 1}, 10_000},
		{smallest, sim.Options{Crashes: 1, Preemptions: 1}, 2_000},
		{small, sim.Options{}, 10_000},
		{small, sim.Options{Crashes: 1}, 2_000},
		{small, sim.Options{Preemptions: 1, Append: true}, 2_000},
	}
)

func TestExhaustively(t *testing.T) {
	for _, b := range boundaries {
		t.Run(fmt.Sprintf("%d monitors, %+v", b.plan.monitors, b.opts), func(t *testing.T) {
			limit := scaled(b.limit, 1_000_000)
			runs, complete := sim.Explore(limit, func(c sim.Chooser) bool {
				s, err := play(c, b.opts, b.plan, real())
				if err != nil {
					t.Errorf("%v\n%s", err, s.world.Transcript())
				}
				return err == nil
			})
			t.Logf("%d interleavings; all of them: %v", runs, complete)
		})
	}
}
