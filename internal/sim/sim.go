// Package sim runs procedures over a store as actors whose every store operation is a point where another actor may go
// first, time may pass, or something may fail. It is deterministic: one list of choices is one run.
//
// An actor is a coroutine. What it does between two store operations is one step, so the procedures must be straight
// lines: no goroutine, no channel, no clock and no randomness of their own.
package sim

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// ErrFault is the error of an operation that the simulation let fail. Its outcome is unknown to the actor.
var ErrFault = errors.New("sim: the answer was lost")

// Options say what may happen in a run. The zero value allows interleavings only.
type Options struct {
	Faults      int             // how many operations may fail, in all
	Crashes     int             // how many actors may crash, in all
	Preemptions int             // how often a runnable actor may be interrupted; negative: always
	Freezes     []time.Duration // by how much time may jump while actors are in the middle of something
	MaxFreezes  int             // how often
	Steps       int             // a run of more steps than this is a livelock; 0 means 20,000
	Append      bool            // give actors the append capability, in one atomic step, where the store has it
	Batch       bool            // give actors the batch capability, in one step, where the store has it
	Late        bool            // give actors the late index, where the store has it
}

// Ground is what a run stands on: a store that is empty below the keys of the run. The zero value stands for a store in
// memory of its own.
type Ground struct {
	Store   store.Store
	Advance func(time.Duration) // makes time pass in Store
	Capable bool                // actors have what capabilities Store has, whatever the run's Options say
}

// Start is the time at which every run begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is one run.
type World struct {
	Store store.Store // what the run stands on, for the invariants; actors use their own

	clock   *memstore.FakeClock
	elapse  func(time.Duration)
	opts    Options
	chooser Chooser
	actors  []*Actor
	current *Actor
	ghosts  []ghost
	steps   int
	over    bool
	trace   []Step
	seen    map[string]int
}

// Step is one line of the transcript.
type Step struct {
	At     time.Duration // since Start
	Actor  string
	What   string
	Result string
}

func (s Step) String() string {
	return fmt.Sprintf("%10v  %-12s %-60s %s", s.At, s.Actor, s.What, s.Result)
}

type ghost struct {
	actor string
	what  string
	apply func()
}

// New returns a world in memory, in which c makes the choices.
func New(c Chooser, opts Options) *World { return On(Ground{}, c, opts) }

// On returns a world that stands on g, in which c makes the choices.
func On(g Ground, c Chooser, opts Options) *World {
	clock := memstore.NewFakeClock(Start)
	if g.Store == nil {
		g.Store, g.Advance = memstore.New(memstore.WithClock(clock)), func(time.Duration) {}
	}
	opts.Append, opts.Batch, opts.Late = opts.Append || g.Capable, opts.Batch || g.Capable, opts.Late || g.Capable
	if opts.Steps == 0 {
		opts.Steps = 20_000
	}
	return &World{Store: g.Store, clock: clock, elapse: g.Advance, opts: opts, chooser: c, seen: map[string]int{}}
}

// Now is the world's time.
func (w *World) Now() time.Time { return w.clock.Now() }

// Advance makes d pass.
func (w *World) Advance(d time.Duration) {
	w.clock.Advance(d)
	w.elapse(d)
}

// Actor is one process in the world.
type Actor struct {
	Name string

	world   *World
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	wake    time.Time
	crashed bool
	ended   bool
}

type crash struct{}

// Spawn adds an actor that runs run when the world does. It may be called by actors. Once the run is over, what is added
// never runs.
func (w *World) Spawn(name string, run func(a *Actor)) *Actor {
	a := &Actor{Name: name, world: w, ended: w.over}
	if w.over {
		return a
	}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield = yield
		defer func() {
			a.ended = true
			if r := recover(); r != nil && r != (any)(crash{}) {
				panic(r)
			}
		}()
		run(a)
	})
	w.actors = append(w.actors, a)
	return a
}

// Crashed reports whether the actor was killed.
func (a *Actor) Crashed() bool { return a.crashed }

// Ended reports whether the actor has returned or was killed.
func (a *Actor) Ended() bool { return a.ended }

// Now is the world's time.
func (a *Actor) Now() time.Time { return a.world.Now() }

// Sleep lets d pass for this actor.
func (a *Actor) Sleep(d time.Duration) {
	a.wake = a.Now().Add(d)
	a.pause()
	a.wake = time.Time{}
}

func (a *Actor) pause() {
	if !a.yield(struct{}{}) {
		a.die() // the run is over
	}
}

func (a *Actor) die() {
	a.crashed = true
	panic(crash{})
}

// Run lets the actors run until all have ended. It returns an error for a livelock.
func (w *World) Run() error {
	defer w.end()
	for w.step() {
		if w.steps++; w.steps > w.opts.Steps {
			return fmt.Errorf("sim: no end after %d steps", w.opts.Steps)
		}
	}
	for len(w.ghosts) > 0 {
		w.applyGhost(0)
	}
	return nil
}

func (w *World) end() {
	w.over = true
	for _, a := range w.actors {
		a.stop()
	}
}

// step makes one choice and carries it out; false when nobody is left.
func (w *World) step() bool {
	ready, next := w.ready()
	if len(ready) == 0 {
		if next.IsZero() {
			return false
		}
		w.Advance(next.Sub(w.Now()))
		return true
	}
	choices := len(ready)
	if w.opts.Preemptions == 0 && ready[0] == w.current {
		choices = 1
	}
	ghosts, freezes := choices, choices+len(w.ghosts)
	total := freezes
	if w.opts.MaxFreezes > 0 {
		total += len(w.opts.Freezes)
	}
	switch c := w.choose("next", total); {
	case c < ghosts:
		w.resume(ready[c], ready)
	case c < freezes:
		w.applyGhost(c - ghosts)
	default:
		w.opts.MaxFreezes--
		w.Seen("time jumped")
		w.note(nil, "time passes", w.opts.Freezes[c-freezes].String())
		w.Advance(w.opts.Freezes[c-freezes])
	}
	return true
}

func (w *World) resume(a *Actor, ready []*Actor) {
	if a != w.current && ready[0] == w.current {
		w.opts.Preemptions--
	}
	w.current = a
	if _, alive := a.resume(); !alive {
		a.ended = true
	}
}

// ready lists the actors that can go on, the current one first, and otherwise when the next one wakes.
func (w *World) ready() (ready []*Actor, next time.Time) {
	now := w.Now()
	for _, a := range w.actors {
		switch {
		case a.ended:
		case a.wake.After(now):
			if next.IsZero() || a.wake.Before(next) {
				next = a.wake
			}
		case a == w.current:
			ready = append([]*Actor{a}, ready...)
		default:
			ready = append(ready, a)
		}
	}
	return ready, next
}

func (w *World) applyGhost(i int) {
	g := w.ghosts[i]
	w.ghosts = append(w.ghosts[:i:i], w.ghosts[i+1:]...)
	w.Seen("ghost applied")
	g.apply()
	w.trace = append(w.trace, Step{w.since(), g.actor, "(ghost) " + g.what, "applied"})
}

func (w *World) choose(what string, n int) int {
	if n <= 1 {
		return 0
	}
	return w.chooser.Choose(what, n)
}

func (w *World) since() time.Duration { return w.Now().Sub(Start) }

func (w *World) note(a *Actor, what, result string) {
	name := "-"
	if a != nil {
		name = a.Name
	}
	w.trace = append(w.trace, Step{w.since(), name, what, result})
}

// Note adds a line to the transcript.
func (a *Actor) Note(format string, args ...any) { a.world.note(a, fmt.Sprintf(format, args...), "") }

// Seen counts an interesting state.
func (w *World) Seen(what string) { w.seen[what]++ }

// Counts are the interesting states that the run came through.
func (w *World) Counts() map[string]int { return w.seen }

// StepsTaken is how many choices the run took.
func (w *World) StepsTaken() int { return w.steps }

// Transcript is what happened, a line each.
func (w *World) Transcript() string {
	var b strings.Builder
	for _, s := range w.trace {
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}
