package roundtest

import (
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/sim"
)

// Trials are the worlds in which G1 to G5 are held.
func Trials() []proof.Trial {
	return []proof.Trial{
		trial("rounds/restarts", perils(), "heard", "given up", "ghost applied", "decided before"),
		trial("rounds/deaths", with(deaths), "found dead"),
		trial("rounds/substitutes", with(substitutes), "replaced", "found dead"),
		trial("rounds/the replaced come back", with(returning), "replaced", "recalled"),
		trial("rounds/twins", with(func(c *config) { c.twins, c.askers = 2, 2 }), "decided before"),
		trial("rounds/the living accused", with(func(c *config) { deaths(c); c.accused = 2 }), "accused though it lives"),
		trial("rounds/batch", with(func(c *config) { substitutes(c); c.Batch, c.Append = true, true }), "cut short", "replaced"),
		trial("rounds/cut off", with(func(c *config) { c.cuts, c.gathers, c.twins = true, 4, 2 }), "heard", "given up"),
		trial("rounds/leaving", with(leaving), "left", "found dead", "found dead behind a burnt number"),
		trial("rounds/a broken record", with(func(c *config) { deaths(c); c.spoils = true }), "found dead"),
		trial("rounds/any", with(func(c *config) { c.until = atLeast(1) }), "heard"),
	}
}

func trial(name string, c config, reached ...string) proof.Trial {
	return proof.Trial{Name: name, Play: c.play, Chance: sim.Sticky, Reached: reached}
}

// perils is the world that most is held against.
func perils() config {
	return config{
		Options: sim.Options{
			Faults: 3, Crashes: 3, Preemptions: -1,
			Freezes: []time.Duration{time.Second, 10 * time.Second}, MaxFreezes: 2,
		},
		askers: 1, gathers: 2, looks: 3, restarts: 2,
		to: []string{"v1", "v2"}, twins: 1, lives: 1, passes: 4,
		until: atLeast(2),
	}
}

func with(change func(*config)) config {
	c := perils()
	change(&c)
	return c
}

// deaths: nobody comes back, or only in part.
func deaths(c *config) { c.Crashes, c.Faults, c.gathers = 5, 4, 1 }

// leaving: of many lives of one, some die and some go on purpose.
func leaving(c *config) {
	deaths(c)
	c.to, c.lives, c.leaves, c.passes, c.gathers, c.looks, c.until = []string{"v1"}, 4, true, 8, 4, 8, atLeast(1)
}

// substitutes: one for both.
func substitutes(c *config) {
	deaths(c)
	c.lives, c.others, c.onDeath = 0, []string{"s"}, map[string]string{"v1": "s", "v2": "s"}
}

// returning: one of whom there is a substitute dies, and comes back between the rounds.
func returning(c *config) {
	leaving(c)
	c.Crashes, c.Faults, c.looks, c.restarts = 1, 2, 12, 0
	c.others, c.onDeath = []string{"s"}, map[string]string{"v1": "s"}
}

// atLeast is enough with so many answers.
func atLeast(k int) func([]round.Member) bool {
	return func(members []round.Member) bool {
		n := 0
		for _, m := range members {
			if m.State == round.Answered {
				n++
			}
		}
		return n >= k
	}
}
