package sim

import (
	"math/rand/v2"

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
