package agree

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// explorer walks all runs of a scope depth first. A run is a list of choices and is replayed from the start; a state that
// was seen before is not entered again. What a process has read since its attempt began is its state, so two runs that
// led to the same reads, the same store and the same ghosts have the same futures.
type explorer struct {
	scope scope
	proc  procedures
	path  []choice
	depth int
	seen  map[[2]uint64]struct{}
	seeds [2]maphash.Seed
	buf   []byte
	runs  int
}

type choice struct{ taken, of int }

func newExplorer(sc scope, p procedures) *explorer {
	return &explorer{scope: sc, proc: p, seen: make(map[[2]uint64]struct{}), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (e *explorer) pick(_ string, n int) int {
	if e.depth == len(e.path) {
		e.path = append(e.path, choice{0, n})
	}
	c := e.path[e.depth].taken
	e.depth++
	return c
}

// explore returns how an invariant was broken, or "" if none is in the whole scope. It gives up at limit states.
func (e *explorer) explore(limit int) (wrong string, complete bool) {
	for len(e.seen) < limit {
		e.runs++
		if wrong := e.once(); wrong != "" {
			return e.explain(), true
		}
		if !e.advance() {
			return "", true
		}
	}
	return "", false
}

func (e *explorer) once() (wrong string) {
	e.depth = 0
	w := newWorld(e.scope, e.proc, e.pick)
	defer w.close()
	for w.step() {
		if e.depth < len(e.path) {
			continue
		}
		if e.known(w) {
			break
		}
		w.lone(e.proc.run)
	}
	return w.wrong
}

// explain tells how the last run went wrong.
func (e *explorer) explain() string {
	var tape []int
	for _, c := range e.path[:e.depth] {
		tape = append(tape, c.taken)
	}
	return plainest(tape, func(pick func(string, int) int) string { return e.scope.play(e.proc, pick) })
}

// plainest tells of the plainest run it finds that goes wrong as the one on the tape does.
func plainest(tape []int, play func(pick func(string, int) int) (wrong string)) string {
	tape = sim.Shrink(tape, 1000, func(c sim.Chooser) bool { return play(c.Choose) != "" })
	return play(sim.Replay(tape).Choose)
}

func (e *explorer) advance() bool {
	for len(e.path) > 0 {
		last := &e.path[len(e.path)-1]
		if last.taken++; last.taken < last.of {
			return true
		}
		e.path = e.path[:len(e.path)-1]
	}
	return false
}

func (e *explorer) known(w *world) bool {
	e.buf = w.state(e.buf[:0])
	h := [2]uint64{maphash.Bytes(e.seeds[0], e.buf), maphash.Bytes(e.seeds[1], e.buf)}
	if _, ok := e.seen[h]; ok {
		return true
	}
	e.seen[h] = struct{}{}
	return false
}

var places = func() (keys []string) {
	keys = []string{counterKey, decisionKey}
	for r := int64(1); r <= 9; r++ {
		keys = append(keys, names.Vote(r))
	}
	return keys
}()

// state is everything that the future depends on.
func (w *world) state(b []byte) []byte {
	for _, k := range places {
		b = append(append(b, w.data[k]...), ',')
	}
	for _, g := range w.ghosts {
		b = append(append(append(b, g.key...), g.value...), ',')
	}
	b = append(b, '|', byte(w.faults), byte(w.switches), w.decidedByte())
	for i, a := range w.actors {
		if w.switches >= 0 && a == w.last {
			b = append(b, '*', byte(i))
		}
		b = append(b, '|', byte(a.tries))
		if a.done {
			b = append(b, 'x')
			continue
		}
		b = append(b, a.seen...)
	}
	return b
}

func (w *world) decidedByte() byte {
	if w.decided == "" {
		return 0
	}
	return w.decided[0]
}

// The small scopes are for every test run; each mutant is found in one of them.
var smallScopes = []scope{
	{procs: 3, attempts: 1, tickets: 3, faults: 1, switches: -1},
	{procs: 2, attempts: 2, tickets: 4, faults: 1, cleaners: 1, switches: 2},
	{procs: 3, attempts: 2, tickets: 5, faults: 0, cleaners: 1, switches: 2},
	{procs: 3, attempts: 2, tickets: 5, faults: 1, switches: 1},
}

// The larger ones take ten seconds.
var largeScopes = []scope{
	{procs: 2, attempts: 2, tickets: 4, faults: 1, cleaners: 1, switches: 4},
	{procs: 3, attempts: 2, tickets: 5, faults: 0, cleaners: 1, switches: 3},
	{procs: 3, attempts: 2, tickets: 5, faults: 2, switches: 1},
}

// The deep ones take minutes. Run them by -coord.long after every change of the procedure.
var deepScopes = []scope{
	{procs: 2, attempts: 2, tickets: 4, faults: 1, cleaners: 1, switches: -1},
	{procs: 3, attempts: 2, tickets: 5, faults: 1, cleaners: 1, switches: 2},
	{procs: 3, attempts: 1, tickets: 3, faults: 1, cleaners: 1, switches: -1},
	{procs: 3, attempts: 2, tickets: 5, faults: 2, cleaners: 1, switches: 2},
	{procs: 3, attempts: 2, tickets: 5, faults: 0, cleaners: 1, switches: 4},
}

func chosenScopes() []scope {
	all := slices.Clone(smallScopes)
	if proof.Slow == 1 {
		all = append(all, largeScopes...)
	}
	if *proof.Long {
		all = append(all, deepScopes...)
	}
	return all
}

func TestExhaustively(t *testing.T) {
	for _, sc := range chosenScopes() {
		t.Run(fmt.Sprintf("%+v", sc), func(t *testing.T) {
			e := newExplorer(sc, real)
			wrong, complete := e.explore(1 << 24)
			if wrong != "" || !complete {
				t.Fatalf("complete: %v, wrong: %s", complete, wrong)
			}
			t.Logf("counted %d states; all of them: %v; in %d runs", len(e.seen), complete, e.runs)
		})
	}
}

// TestDrawn: longer runs than the exhaustive ones, with more of everything.
func TestDrawn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		if wrong := walk(real, pick); wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// walks is enough for each mutant to be found by walking alone; see TestMutants.
const walks = 20_000

func TestRandomWalks(t *testing.T) {
	n := uint64(walks / proof.Slow)
	if *proof.Long {
		n *= 100
	}
	for i := range n {
		seed := proof.Seed(i)
		tape := &sim.Recorder{Chooser: seeded(seed)}
		if walk(real, tape.Choose) != "" {
			t.Fatalf("seed %d: %s", seed, plainest(tape.Tape, func(pick func(string, int) int) string { return walk(real, pick) }))
		}
	}
	t.Logf("counted %d runs", n)
}

// seeded picks to go on, without a fault, more often than not.
func seeded(seed uint64) sim.Chooser { return picker{rand.New(rand.NewPCG(seed, 0))} }

type picker struct{ r *rand.Rand }

func (p picker) Choose(_ string, n int) int {
	if p.r.IntN(2) == 0 {
		return 0
	}
	return p.r.IntN(n)
}

// walk is one run to its end, in a scope that is picked, too.
func walk(p procedures, pick func(string, int) int) (wrong string) {
	return scope{
		procs: 2 + pick("procs", 3), attempts: 1 + pick("attempts", 4), tickets: 9,
		faults: pick("faults", 5), cleaners: pick("cleaners", 3), switches: -1,
	}.play(p, pick)
}

func (sc scope) play(p procedures, pick func(string, int) int) (wrong string) {
	w := newWorld(sc, p, pick)
	defer w.close()
	w.trace = true
	for w.step() {
		w.lone(p.run)
	}
	if w.wrong == "" {
		return ""
	}
	return fmt.Sprintf("%s\n%+v\n%s", w.wrong, sc, strings.Join(w.trail, "\n"))
}
