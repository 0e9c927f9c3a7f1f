package agree

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// The places of the one agreement in a test.
const (
	counterKey  = "n"
	decisionKey = "d"
	votePrefix  = "v"
)

var names = Names{Counter: counterKey, Decision: decisionKey, Vote: func(r int64) string {
	return votePrefix + strconv.FormatInt(r, 10)
}}

// plain seals by writing the place in front.
type plain struct{}

func (plain) Seal(place string, value []byte) []byte { return append([]byte(place+"="), value...) }

func (plain) Open(place string, data []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(data), place+"=")
	if !ok {
		return nil, errors.New("forged")
	}
	return []byte(value), nil
}

var errLost = errors.New("the answer was lost")

// procedure is run, or a mutant of it.
type procedure func(a attempt, v []byte) ([]byte, error)

// procedures is what is under test.
type procedures struct {
	run   procedure
	clean func(context.Context, store.Store, Names, Codec) error
}

var real = procedures{run, Clean}

// scope bounds a run.
type scope struct {
	procs    int // how many propose, each its own value
	attempts int // of each
	tickets  int // no more than these are given out: who would take another stops
	faults   int // operations whose answer is lost, before, after, or with a late effect
	cleaners int
	switches int // pre-emptions; negative: any number
}

// world is a store and the processes that run on it, each a coroutine that yields before every operation.
type world struct {
	scope
	pick   func(what string, n int) int
	data   map[string]string
	ghosts []ghost
	actors []*actor
	last   *actor
	trail  []string // what happened, for a failure's message
	trace  bool

	decided string // what was ever visible or returned
	wrong   string // the first invariant that was broken
}

// ghost is a write that has yet to happen.
type ghost struct{ key, value string } // an empty value of a vote: its deletion

type actor struct {
	w      *world
	name   string
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	seen   []byte // all that it learned since its attempt began: its local state, as it is deterministic
	tries  int
	done   bool
}

func newWorld(sc scope, p procedures, pick func(string, int) int) *world {
	w := &world{scope: sc, pick: pick, data: make(map[string]string, 8)}
	for i := range sc.procs {
		w.spawn(string(rune('A'+i)), func(a *actor) { a.propose(p.run) })
	}
	for i := range sc.cleaners {
		w.spawn("cleaner"+strconv.Itoa(i), func(a *actor) {
			for a.tries = 0; a.tries < sc.attempts; a.tries++ {
				a.seen = a.seen[:0]
				if p.clean(context.Background(), a, names, plain{}) == nil {
					return
				}
			}
		})
	}
	return w
}

func (w *world) spawn(name string, body func(*actor)) {
	a := &actor{w: w, name: name}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield = yield
		body(a)
		a.done = true
	})
	w.actors = append(w.actors, a)
	a.resume() // to its first operation
}

// propose attempts until it has a decision, or no attempt is left.
func (a *actor) propose(p procedure) {
	ttl, _ := TTLs{}.validated()
	for a.tries = 0; a.tries < a.w.attempts; a.tries++ {
		a.seen = a.seen[:0]
		d, err := p(attempt{context.Background(), a, names, plain{}, ttl}, []byte(a.name))
		if err == nil {
			a.w.returned(a.name, string(d))
			return
		}
	}
}

// lone reports whether a process that runs alone from here on, on a store that is well, ends with the decision in one
// attempt. It does so on a copy.
func (w *world) lone(p procedure) {
	alone := &world{scope: scope{procs: w.procs, tickets: 1 << 10}, data: maps.Clone(w.data), decided: w.decided}
	ttl, _ := TTLs{}.validated()
	a := &actor{w: alone, yield: func(struct{}) bool { return true }}
	d, err := p(attempt{context.Background(), a, names, plain{}, ttl}, []byte("A"))
	if err != nil {
		w.fail("alone, A does not finish: %v", err)
		return
	}
	if alone.returned("A", string(d)); alone.wrong != "" {
		w.fail("alone, A: %s", alone.wrong)
	}
}

// close lets go of everybody: the crashed find the store refusing.
func (w *world) close() {
	for _, a := range w.actors {
		a.stop()
	}
}

// returned keeps the invariants: one decision, proposed by somebody, and visible before it is returned.
func (w *world) returned(who, d string) {
	w.note(who, "decides "+d)
	w.agree(d)
	if w.data[decisionKey] == "" {
		w.fail("%s returned %s before it was visible", who, d)
	}
}

func (w *world) agree(d string) {
	if w.decided == "" {
		w.decided = d
	}
	if d != w.decided {
		w.fail("decided both %s and %s", w.decided, d)
	}
	if len(d) != 1 || d[0] < 'A' || d[0] >= 'A'+byte(w.procs) {
		w.fail("decided %q, which nobody proposed", d)
	}
}

func (w *world) fail(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

func (w *world) note(who, what string) {
	if w.trace {
		w.trail = append(w.trail, who+": "+what)
	}
}

// step lets one of those who can move do one operation. It reports whether anybody could.
func (w *world) step() bool {
	who := w.movable()
	if len(who)+len(w.ghosts) == 0 || w.wrong != "" {
		return false
	}
	n := w.pick("next", len(who)+len(w.ghosts))
	if n >= len(who) {
		w.appear(n - len(who))
		return true
	}
	if a := who[n]; a != w.last {
		if w.last != nil && !w.last.done && w.switches > 0 {
			w.switches--
		}
		w.last = a
	}
	w.last.resume()
	return true
}

// movable is who may go next: the last first, so that choice 0 is to go on. Without switches left, it alone.
func (w *world) movable() (who []*actor) {
	if w.last != nil && !w.last.done {
		who = append(who, w.last)
		if w.switches == 0 {
			return who
		}
	}
	for _, a := range w.actors {
		if !a.done && a != w.last {
			who = append(who, a)
		}
	}
	return who
}

func (w *world) appear(i int) {
	g := w.ghosts[i]
	w.ghosts = append(append([]ghost(nil), w.ghosts[:i]...), w.ghosts[i+1:]...)
	w.note("ghost", g.key+" "+g.value)
	w.write(g.key, g.value)
}

func (w *world) write(key, value string) {
	switch {
	case key == counterKey && value == "+":
		n, _ := strconv.Atoi(w.data[key])
		w.data[key] = strconv.Itoa(n + 1)
	case value == "":
		delete(w.data, key)
	default:
		w.data[key] = value
	}
	if key == decisionKey {
		w.agree(strings.TrimPrefix(value, decisionKey+"="))
	}
}

// What becomes of an operation.
const (
	fine = iota
	before
	after
	late
)

// op yields, then does one operation, whose answer may be lost.
func (a *actor) op(key, value string, write bool, do func() string) (err error) {
	if !a.yield(struct{}{}) {
		return errLost
	}
	w, fate := a.w, fine
	if w.faults > 0 {
		kinds := 2
		if write {
			kinds = 4
		}
		if fate = w.pick("fate", kinds); fate != fine {
			w.faults--
		}
	}
	result := "?"
	switch fate {
	case fine, after:
		result = do()
	case late:
		w.ghosts = append(w.ghosts, ghost{key, value})
	}
	if w.trace {
		w.note(a.name, fmt.Sprint(key, " ", value, " ", []string{"", "not done", "answer lost", "late"}[fate], " -> ", result))
	}
	if fate != fine {
		a.seen = append(a.seen, '!')
		return errLost
	}
	a.seen = append(append(a.seen, result...), ';')
	return nil
}

func (a *actor) Get(_ context.Context, key string) (value []byte, err error) {
	found := false
	err = a.op(key, "", false, func() string {
		v, ok := a.w.data[key]
		value, found = []byte(v), ok
		return v
	})
	if err == nil && !found {
		return nil, store.ErrNotFound
	}
	return value, err
}

func (a *actor) SetEX(_ context.Context, key string, value []byte, _ time.Duration) error {
	return a.op(key, string(value), true, func() string { a.w.write(key, string(value)); return "" })
}

// Incr stops an actor for ever where the scope's tickets are used up.
func (a *actor) Incr(_ context.Context, key string) (n int64, err error) {
	err = a.op(key, "+", true, func() string {
		a.w.write(key, "+")
		n, _ = strconv.ParseInt(a.w.data[key], 10, 64)
		return a.w.data[key]
	})
	if err == nil && n > int64(a.w.tickets) {
		a.tries = a.w.attempts
		return 0, errLost
	}
	return n, err
}

// Expire with a time to live changes nothing here: time does not pass. It is no point of choice then.
func (a *actor) Expire(_ context.Context, key string, ttl time.Duration) (bool, error) {
	if ttl > 0 {
		return true, nil
	}
	return true, a.op(key, "", true, func() string { a.w.write(key, ""); return "" })
}

func (a *actor) Keys(context.Context, string) ([]string, error) { return nil, errors.ErrUnsupported }
