// Package worktest plays package work: owners that accept, run, hand over and leave, monitors that accuse them, rightly
// or not, and a judge that sees every write.
package worktest

import (
	"context"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

var ctx = context.Background()

// Trials are runs in which the judge keeps all of I1 to I4 and X1 to X5; each has more of what endangers its own.
func Trials() []proof.Trial { return With(Real) }

// With returns the same trials of other procedures.
func With(procedures func() Procedures) []proof.Trial {
	trials := make([]proof.Trial, len(scenes))
	for i, s := range scenes {
		trials[i] = proof.Trial{
			Name:    s.name,
			Chance:  sim.Sticky,
			Reached: s.reached,
			Play: func(on sim.Ground, c sim.Chooser) (*sim.World, error) {
				return play(on, c, s.plan.within(perils[c.Choose("world", len(perils))]), s.plan, procedures())
			},
		}
	}
	return trials
}

// Procedures are those that are played; a mutant replaces one.
type Procedures struct {
	Claim      func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error)
	HandOver   func(d *work.Desk, o work.Owner, c work.Choose) error
	Leave      func(d *work.Desk, me work.Owner, c work.Choose) error
	Scan       func(l *work.List) ([]work.Intent, error)
	Begin      func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error)
	Checkpoint func(h *work.Held, data []byte) error
	Done       func(h *work.Held, data []byte) error
	Refresh    func(l *work.List) error

	Owner func(store.Store) store.Store // the view of the store that owners have; nil: the true one
}

// Real are the procedures of package work.
func Real() Procedures {
	return Procedures{
		Claim: func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error) {
			mine, _, err := d.Claim(ctx, me, u, e)
			return mine, err
		},
		HandOver: func(d *work.Desk, o work.Owner, c work.Choose) error {
			_, _, err := d.DecideDead(ctx, o, work.Death{Reason: work.Silent})
			if err == nil {
				_, _, err = d.HandOver(ctx, o, c)
			}
			return err
		},
		Leave: func(d *work.Desk, me work.Owner, c work.Choose) error {
			_, _, err := d.Leave(ctx, me, c)
			return err
		},
		Scan: func(l *work.List) ([]work.Intent, error) {
			all, _, err := l.Scan(ctx)
			return all, err
		},
		Begin: func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
			return d.Begin(ctx, me, u, f)
		},
		Checkpoint: func(h *work.Held, data []byte) error { return h.Checkpoint(ctx, data) },
		Done:       func(h *work.Held, data []byte) error { return h.Done(ctx, data) },
		Refresh:    func(l *work.List) error { return l.Refresh(ctx) },
	}
}

// plan says who takes part in a scene, and what each does.
type plan struct {
	units    int  // accepted by the first owner
	rivals   bool // the second owner accepts the first unit too, and where weeks pass again and again
	owners   int  // a/1, b/1, c/1 ...
	rounds   int  // how often each owner scans
	states   int  // checkpoints of each epoch
	monitors int
	targets  int  // how many owners each monitor accuses, falsely if they live
	hurries  int  // how often each monitor gives the first unit to another, for its owner makes no progress
	leaves   int  // so many of the last owners leave
	spawns   bool // somebody claims the second epoch of the first unit with an incarnation of its own
	rejoins  bool // an owner that crashed comes back as the next incarnation
	stalls   bool // anybody may stop for longer than a round, between any two operations
	exact    bool // nothing is drawn but the interleaving: monitors find the first owners dead, in this order, at once
	weeks    bool // rounds are most of a day apart, and most of them without a checkpoint; monitors look as often
	alone    bool // the first owner runs what it accepts, takes nothing over, and never scans
	reckless bool // a monitor gives up on a unit now and then, and comes back
}

var scenes = []struct {
	name    string
	plan    plan
	reached []string
}{
	{
		"X1/one owner per epoch",
		plan{units: 1, rivals: true, owners: 3, rounds: 4, states: 2, monitors: 3, targets: 3, spawns: true, stalls: true},
		[]string{"claimed a later epoch", "fenced: not claimed", "two heirs for one epoch"},
	},
	{
		"X2/one result per unit",
		plan{units: 3, owners: 2, rounds: 3, states: 0, monitors: 3, targets: 2, stalls: true},
		[]string{"done", "fenced: not done", "ghost applied", "crashed after it"},
	},
	{
		"X3/what is accepted is done or found",
		plan{units: 1, owners: 3, rounds: 4, states: 2, monitors: 2, targets: 3, leaves: 2, rejoins: true, reckless: true},
		[]string{"left", "no heir", "an heir was dead", "crashed before it", "a Leave that stopped half-way was finished"},
	},
	{
		"X3/weeks pass",
		plan{units: 1, owners: 2, rounds: 42, states: 3, monitors: 3, weeks: true},
		[]string{"no heir", "handed over in a second epoch", "time jumped"},
	},
	{
		"X3/weeks pass for one who only accepts",
		plan{units: 2, rivals: true, owners: 2, rounds: 42, states: 3, monitors: 3, weeks: true, alone: true},
		[]string{"lived for more than a month", "handed over in a second epoch", "time jumped"},
	},
	{
		"X4/a lower epoch commits nothing",
		plan{units: 1, owners: 3, rounds: 5, states: 3, monitors: 2, targets: 2, stalls: true},
		[]string{"begun", "fenced: not checkpoint", "stalled", "answer lost"},
	},
	{
		"X4/many checkpoints",
		plan{units: 1, owners: 2, rounds: 8, states: 6, monitors: 1, targets: 2, stalls: true},
		[]string{"checkpoint", "fenced: not checkpoint"},
	},
	{
		"X4/taken from the living",
		plan{units: 1, owners: 3, rounds: 6, states: 4, monitors: 2, targets: 1, hurries: 3, stalls: true},
		[]string{"taken from the living", "fenced: not checkpoint", "handed over in a second epoch"},
	},
	{
		"X5/epochs rise",
		plan{units: 3, owners: 3, rounds: 3, states: 1, monitors: 2, targets: 3},
		[]string{"handed over in a second epoch", "fenced: not begun", "time jumped"},
	},
	{
		"X1 to X5/everything at once",
		plan{units: 2, rivals: true, owners: 3, rounds: 4, states: 2, monitors: 3, targets: 2, hurries: 1, leaves: 2, spawns: true, rejoins: true, reckless: true, stalls: true},
		[]string{"a claim that stopped half-way was closed", "fenced: not claimed a later epoch"},
	},
}

// within is what may go wrong, where time jumps by most of what is assumed at the most.
func (p plan) within(opts sim.Options) sim.Options {
	if p.weeks && opts.MaxFreezes > 0 {
		opts.Freezes = []time.Duration{work.DefaultTimes.Freeze - 24*time.Hour}
	}
	return opts
}

// perils are what may go wrong in a run.
var perils = []sim.Options{
	{Preemptions: -1, Append: true, Batch: true},
	{Preemptions: -1, Faults: 1, Crashes: 2},
	{Preemptions: -1, Faults: 3, Crashes: 2, Freezes: []time.Duration{40 * time.Second}, MaxFreezes: 1},
	{Preemptions: -1, Faults: 3, Crashes: 2, Freezes: []time.Duration{40 * time.Second}, MaxFreezes: 1, Append: true, Batch: true},
	{Preemptions: -1, Faults: 6, Crashes: 1, Batch: true},
	{Preemptions: -1, Faults: 12},
}

// HandOver is the death of the owner of one unit before so many monitors and as many heirs, the first of which the
// second monitor finds dead. Nothing is chosen but who goes next, and what opts allow.
func HandOver(name string, monitors int, opts sim.Options) proof.Trial {
	p := plan{units: 1, owners: 1 + monitors, rounds: 2, states: 1, monitors: monitors, targets: monitors, exact: true}
	return proof.Trial{Name: name, Play: func(on sim.Ground, c sim.Chooser) (*sim.World, error) {
		return play(on, c, opts, p, Real())
	}}
}
