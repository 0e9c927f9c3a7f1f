package agree

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
		if wrong := e.once(false); wrong != "" {
			return e.explain(), true
		}
		if !e.advance() {
			return "", true
		}
	}
	return "", false
}

func (e *explorer) once(trace bool) (wrong string) {
	e.depth = 0
	w := newWorld(e.scope, e.proc, e.pick)
	defer w.close()
	w.trace = trace
	for w.step() {
		if e.depth < len(e.path) {
			continue
		}
		if e.known(w) && !trace {
			break
		}
		w.lone(e.proc.run)
	}
	if trace {
		return w.wrong + "\n" + strings.Join(w.trail, "\n")
	}
	return w.wrong
}

// explain replays the last run and tells it.
func (e *explorer) explain() string { return e.once(true) }

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

// The deep ones take minutes. Run them by COORD_EXPLORE=1 after every change of the procedure.
var deepScopes = []scope{
	{procs: 2, attempts: 2, tickets: 4, faults: 1, cleaners: 1, switches: -1},
	{procs: 3, attempts: 2, tickets: 5, faults: 1, cleaners: 1, switches: 2},
	{procs: 3, attempts: 1, tickets: 3, faults: 1, cleaners: 1, switches: -1},
	{procs: 3, attempts: 2, tickets: 5, faults: 2, cleaners: 1, switches: 2},
	{procs: 3, attempts: 2, tickets: 5, faults: 0, cleaners: 1, switches: 4},
}

func chosenScopes() []scope {
	all := slices.Clone(smallScopes)
	if thorough {
		all = append(all, largeScopes...)
	}
	if os.Getenv("COORD_EXPLORE") != "" {
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
			t.Logf("%d states in %d runs", len(e.seen), e.runs)
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
	for seed := range uint64(walks) {
		if wrong := walk(real, seeded(seed)); wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
	}
}

// seeded picks to go on, without a fault, more often than not.
func seeded(seed uint64) func(string, int) int {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(_ string, n int) int {
		if r.IntN(2) == 0 {
			return 0
		}
		return r.IntN(n)
	}
}

// walk is one run to its end.
func walk(p procedures, pick func(string, int) int) (wrong string) {
	sc := scope{
		procs: 2 + pick("procs", 3), attempts: 1 + pick("attempts", 4), tickets: 9,
		faults: pick("faults", 5), cleaners: pick("cleaners", 3), switches: -1,
	}
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
