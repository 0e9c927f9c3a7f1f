package detecttest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// Check is detect.Watch.Check, or a mutant of it.
type Check func(w *detect.Watch, ctx context.Context) (detect.Report, error)

// Company says who takes part in a run, beside what sim.Options let go wrong.
type Company struct {
	sim.Options
	Policy   detect.Policy
	Beats    int // of the member after its first; then it stops
	Monitors int
	Rounds   int // checks of each monitor
	Pause    int // how often two Beats more may pass between two of its beats
	Skewed   bool
	Loses    bool // the store loses its data after those beats, and the member beats as often again
	Check    Check
}

// Hazards is what may go wrong.
func Hazards() sim.Options {
	return sim.Options{
		Faults: 4, Crashes: 2, Preemptions: -1, MaxFreezes: 4,
		Freezes: []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 12 * time.Second},
	}
}

// Gentle lets less go wrong, so that it goes wrong in the same place more often.
func Gentle() sim.Options {
	return sim.Options{
		Faults: 3, Preemptions: -1, MaxFreezes: 2,
		Freezes: []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond},
	}
}

// Trials are the worlds in which detection is held. All of them judge D1 to D4.
func Trials() []proof.Trial {
	alone := Company{Options: Hazards(), Policy: Quick, Monitors: 1, Check: (*detect.Watch).Check}
	several, skewed, gentle := alone, alone, alone
	several.Monitors, skewed.Monitors, gentle.Monitors = 0, 0, 0
	skewed.Skewed, gentle.Options = true, Gentle()
	indexed := gentle
	indexed.Policy, indexed.Options.Late, indexed.Pause = Patient, true, 3
	returning, losing := several, several
	returning.Pause = 3
	losing.Options, losing.Pause, losing.Loses, losing.Rounds = sim.Options{Preemptions: -1}, 2, true, 8
	return []proof.Trial{
		Trial("D1/one monitor", alone, "detect.Dead", "detect.Gone"),
		Trial("D2/little goes wrong", gentle, "detect.Warned", "answer lost"),
		Trial("D2/long silences", returning, "detect.Recovered", "ghost applied", "time jumped"),
		Trial("D2/the store loses its data", losing, "store lost", "detect.Dead", "detect.Warned"),
		Trial("D2/a late index", indexed, "detect.Dead", "detect.Recovered", "answer lost"),
		Trial("D3/several monitors", several, "detect.Dead", "crashed after it"),
		Trial("D7/clocks hours apart", skewed, "detect.Dead", "detect.Warned"),
	}
}

// Trial draws what of says nothing of: how often the member beats, how many monitors there are, and for how long.
func Trial(name string, of Company, reached ...string) proof.Trial {
	return proof.Trial{Name: name, Chance: Sparse, Reached: reached, Play: func(on sim.Ground, c sim.Chooser) (*sim.World, error) {
		drawn := of
		drawn.Beats = c.Choose("beats", 6)
		if of.Monitors == 0 {
			drawn.Monitors = 1 + c.Choose("monitors", 3)
		}
		drawn.Rounds += 6 + c.Choose("rounds", 10)
		return drawn.Play(on, c)
	}}
}

// Sparse chooses by seed, and plainly but for a few times, so that what goes wrong is spread over the whole run.
func Sparse(seed uint64) sim.Chooser {
	r := rand.New(rand.NewPCG(seed, 2))
	return spread{r, []int{4, 16, 64, 256}[r.IntN(4)]}
}

type spread struct {
	r     *rand.Rand
	plain int
}

func (s spread) Choose(what string, n int) int {
	if (what == "outcome" || what == "next") && s.r.IntN(s.plain) > 0 {
		return 0
	}
	return s.r.IntN(n)
}
