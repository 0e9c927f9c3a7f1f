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
	Append      bool            // give actors the append capability, in one atomic step
}

// Start is the time at which every run begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is one run.
type World struct {
	Clock *memstore.FakeClock
	Mem   *memstore.Store // what the store holds, for the invariants; actors use their own Store

	opts    Options
	chooser Chooser
	actors  []*Actor
	current *Actor
	ghosts  []ghost
	steps   int
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

// New returns a world in which c makes the choices.
func New(c Chooser, opts Options) *World {
	clock := memstore.NewFakeClock(Start)
	if opts.Steps == 0 {
		opts.Steps = 20_000
	}
	return &World{
		Clock: clock, Mem: memstore.New(memstore.WithClock(clock)),
		opts: opts, chooser: c, seen: map[string]int{},
	}
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

// Spawn adds an actor that runs run when the world does. It may be called by actors.
func (w *World) Spawn(name string, run func(a *Actor)) *Actor {
	a := &Actor{Name: name, world: w}
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
func (a *Actor) Now() time.Time { return a.world.Clock.Now() }

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
		w.Clock.Advance(next.Sub(w.Clock.Now()))
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
		w.Clock.Advance(w.opts.Freezes[c-freezes])
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
	now := w.Clock.Now()
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

func (w *World) since() time.Duration { return w.Clock.Now().Sub(Start) }

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
