// Package proof plays trials: runs of the real procedures in a simulated world, which judges them. A trial is played by
// seeds, and then as rapid draws it. What fails is shrunk and printed as a transcript, with the line that replays it.
package proof

import (
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/internal/sim"
)

// Long asks for the long form of whatever has one.
var Long = flag.Bool("coord.long", false, "explore far more interleavings")

var (
	seed  = flag.Int64("coord.seed", -1, "play this one seed of each trial, and show what happens (with -v)")
	steps = flag.Int("coord.steps", 0, "play each trial by further seeds until it took so many steps")
)

// Seed is the one of -coord.seed, or usual where that is not given: for tests that choose by a seed of their own.
func Seed(usual uint64) uint64 {
	if *seed >= 0 {
		return uint64(*seed)
	}
	return usual
}

// Trial is a world, and what is judged in it.
type Trial struct {
	Name string
	// Play is one run. Its error is the first violation and begins with the invariant's name, as in "S1: ...". The
	// world is returned in any case.
	Play func(on sim.Ground, c sim.Chooser) (*sim.World, error)
	// Chance chooses by seed. nil stands for sim.Random.
	Chance func(seed uint64) sim.Chooser
	// Reached are states that some run must have come through, or the trial proves less than it says.
	Reached []string
}

func (t Trial) chance(seed uint64) sim.Chooser {
	if t.Chance == nil {
		return sim.Random(seed)
	}
	return t.Chance(seed)
}

// Ground makes a ground for each run of a trial, empty below the keys of the run.
type Ground func(testing.TB) func() sim.Ground

// Memory is the ground of a fresh store in memory for each run.
func Memory(testing.TB) func() sim.Ground { return func() sim.Ground { return sim.Ground{} } }

// Plan says how much of a trial is played.
type Plan struct {
	Seeds uint64 // how many; rapid's own flags say how many runs it draws
	Few   bool   // too few to ask what was reached, and rapid draws one in ten
}

// Usual is the plan of tests in memory.
var Usual = Plan{Seeds: 300}

// Hold plays each trial in a subtest of its name.
func Hold(t *testing.T, on Ground, p Plan, trials ...Trial) {
	for _, tr := range trials {
		t.Run(tr.Name, func(t *testing.T) {
			h := &holding{T: t, trial: tr, plan: p, ground: on(t), seen: map[string]int{}}
			if *seed >= 0 {
				h.replay(uint64(*seed))
				return
			}
			h.seeds() // first, for a seed is easily replayed
			h.draw()
			h.report()
		})
	}
}

// holding is one trial being played.
type holding struct {
	*testing.T
	trial  Trial
	plan   Plan
	ground func() sim.Ground

	drawn, seeded, taken int
	seen                 map[string]int
}

func (h *holding) play(c sim.Chooser) (*sim.World, error) {
	w, err := h.trial.Play(h.ground(), c)
	h.taken += w.StepsTaken()
	return w, err
}

func (h *holding) draw() {
	skip := Slow
	if h.plan.Few {
		skip *= 10
	}
	rapid.Check(h.T, func(t *rapid.T) {
		if skip > 1 && rapid.IntRange(0, skip-1).Draw(t, "left out, for it is slow") > 0 {
			return
		}
		h.drawn++
		if w, err := h.play(sim.Drawn(t)); err != nil {
			t.Fatalf("%v\n%s", err, w.Transcript())
		}
	})
}

func (h *holding) seeds() {
	for n := uint64(0); n < max(1, h.plan.Seeds/Slow) || h.taken < *steps; n++ {
		tape := &sim.Recorder{Chooser: h.trial.chance(n)}
		w, err := h.play(tape)
		if err != nil {
			h.Fatalf("%s\nreplay: go test -v -run '%s' -coord.seed=%d", h.shrunk(w, tape.Tape, err), pattern(h.Name()), n)
		}
		h.seeded++
		for what, times := range w.Counts() {
			h.seen[what] += times
		}
	}
}

// shrunk tells of the plainest run that violates the same invariant, or of the one that did where it cannot be repeated.
func (h *holding) shrunk(w *sim.World, tape []int, err error) string {
	deadline := time.Now().Add(patience)
	play := func(c sim.Chooser) (*sim.World, error) {
		if time.Now().After(deadline) {
			return nil, nil
		}
		return h.trial.Play(h.ground(), c)
	}
	tape = shrink(play, 3000, tape, err)
	again, same := h.trial.Play(h.ground(), sim.Replay(tape))
	if same == nil {
		return fmt.Sprintf("%v\n(the same choices did not bring it about again)\n%s", err, w.Transcript())
	}
	return fmt.Sprintf("%v\n%s", same, again.Transcript())
}

// patience is for how long a run is shrunk: on a server that takes its time.
const patience = 10 * time.Second

func (h *holding) report() {
	h.Logf("counted %d runs", h.drawn+h.seeded)
	h.Logf("counted %d steps", h.taken)
	for _, what := range slices.Sorted(maps.Keys(h.seen)) {
		h.Logf("reached %7d times: %s", h.seen[what], what)
	}
	if h.plan.Few || Slow > 1 {
		return
	}
	for _, what := range h.trial.Reached {
		if h.seen[what] == 0 {
			h.Errorf("no run reached %q: the test proves less than it says", what)
		}
	}
}

// replay plays one seed and shows it.
func (h *holding) replay(seed uint64) {
	w, err := h.play(h.trial.chance(seed))
	h.Logf("seed %d: %d steps\n%s", seed, w.StepsTaken(), w.Transcript())
	if err != nil {
		h.Errorf("seed %d: %v", seed, err)
	}
}

// Shrink returns the plainest run it finds in limit runs that violates the invariant that err names; tape is a run that
// does.
func Shrink(play func(sim.Chooser) (*sim.World, error), limit int, tape []int, err error) (w *sim.World, shrunk error) {
	w, shrunk = play(sim.Replay(shrink(play, limit, tape, err)))
	if shrunk == nil { // it was not a function of its choices
		return w, fmt.Errorf("%w (and it does not happen again)", err)
	}
	return w, shrunk
}

func shrink(play func(sim.Chooser) (*sim.World, error), limit int, tape []int, err error) []int {
	return sim.Shrink(tape, limit, func(c sim.Chooser) bool {
		_, again := play(c)
		return again != nil && Invariant(again) == Invariant(err)
	})
}

// Invariant is the name with which a violation begins.
func Invariant(err error) string {
	name, _, _ := strings.Cut(err.Error(), ":")
	return name
}

// pattern is the value of -run that selects a subtest, for between the apostrophes of a shell.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + strings.ReplaceAll(regexp.QuoteMeta(p), "'", ".") + "$"
	}
	return strings.Join(parts, "/")
}
