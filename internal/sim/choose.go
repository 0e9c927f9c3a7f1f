package sim

import (
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"
)

// Chooser makes the choices of a run. Choice 0 is always the plain one: go on, no fault.
type Chooser interface {
	// Choose returns a number in [0, n).
	Choose(what string, n int) int
}

// Drawn lets rapid choose, so that a failing run shrinks and replays.
func Drawn(t *rapid.T) Chooser { return drawn{t} }

type drawn struct{ t *rapid.T }

func (d drawn) Choose(what string, n int) int { return rapid.IntRange(0, n-1).Draw(d.t, what) }

// Random chooses by seed: half the time the plain choice.
func Random(seed uint64) Chooser { return random{rand.New(rand.NewPCG(seed, 0))} }

type random struct{ r *rand.Rand }

func (r random) Choose(what string, n int) int {
	if what != "next" && r.r.IntN(8) > 0 {
		return 0
	}
	return r.r.IntN(n)
}

// Sticky chooses by seed, too. Its runs differ in how long an actor goes on undisturbed, and in how many writes come
// late. It chooses evenly what is called "world".
func Sticky(seed uint64) Chooser {
	r := rand.New(rand.NewPCG(seed, 7))
	return sticky{r, []int{0, 8, 12, 14, 15}[r.IntN(5)], r.IntN(2) > 0}
}

type sticky struct {
	r    *rand.Rand
	stay int // of 16
	late bool
}

func (s sticky) Choose(what string, n int) int {
	switch {
	case what == "world":
	case what == "next" && s.r.IntN(16) < s.stay, what != "next" && s.r.IntN(24) > 0:
		return 0
	case what == "outcome" && s.late && n > ghostly:
		return ghostly
	}
	return s.r.IntN(n)
}

// Explore runs every list of choices, in depth-first order, but no more than limit runs. It returns how many there
// were and whether that was all of them. It stops at the first false.
func Explore(limit int, run func(Chooser) bool) (runs int, complete bool) {
	var d depthFirst
	for runs < limit {
		d.depth = 0
		runs++
		if !run(&d) {
			return runs, false
		}
		if !d.advance() {
			return runs, true
		}
	}
	return runs, false
}

type depthFirst struct {
	path  []choice
	depth int
}

type choice struct{ taken, of int }

func (d *depthFirst) Choose(_ string, n int) int {
	if d.depth == len(d.path) {
		d.path = append(d.path, choice{0, n})
	}
	c := d.path[d.depth].taken
	d.depth++
	return c
}

// advance moves to the next list of choices; false when there is none.
func (d *depthFirst) advance() bool {
	for len(d.path) > 0 {
		last := &d.path[len(d.path)-1]
		if last.taken++; last.taken < last.of {
			return true
		}
		d.path = d.path[:len(d.path)-1]
	}
	return false
}

// Recorder has another Chooser choose, and keeps what it chose.
type Recorder struct {
	Chooser
	Tape []int
}

// Choose implements Chooser.
func (r *Recorder) Choose(what string, n int) int {
	c := r.Chooser.Choose(what, n)
	r.Tape = append(r.Tape, c)
	return c
}

// Replay makes the choices of tape, and after its end plain ones.
func Replay(tape []int) Chooser { return &replay{tape} }

type replay struct{ rest []int }

func (r *replay) Choose(_ string, n int) int {
	if len(r.rest) == 0 {
		return 0
	}
	c := min(r.rest[0], n-1)
	r.rest = r.rest[1:]
	return c
}

// Shrink looks for a shorter and plainer tape whose run fails, too, and tries up to limit of them. The one that it is
// given must fail.
func Shrink(tape []int, limit int, fails func(Chooser) bool) []int {
	left := limit
	try := func(candidate []int) bool {
		left--
		if left < 0 || !fails(Replay(candidate)) {
			return false
		}
		tape = candidate
		return true
	}
	for size := len(tape); size > 0 && left > 0; size /= 2 {
		for at := 0; at < len(tape); {
			end := min(at+size, len(tape))
			if try(slices.Concat(tape[:at], tape[end:])) {
				continue // the next part is here now
			}
			plain := slices.Clone(tape)
			if clear(plain[at:end]); !slices.Equal(plain, tape) {
				try(plain)
			}
			at = end
		}
	}
	return tape
}
