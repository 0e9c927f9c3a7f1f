package worktest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// owner is one process that owns units.
type owner struct {
	scene *scene
	me    work.Owner
	actor *sim.Actor
	desk  *work.Desk
	list  *work.List
	gone  bool // it left
	only  bool // it accepts, and never takes anything over
	runs  []*running
}

// running is an epoch on its way from one round to the next.
type running struct {
	h *work.Held
	n int // the checkpoints that were tried
}

// spawn adds an owner that lives as live says.
func (s *scene) spawn(me work.Owner, live func(*owner)) {
	o := &owner{scene: s, me: me}
	s.everybody = append(s.everybody, o)
	s.judge.watchOwner(me)
	o.actor = s.world.Spawn(me.String(), func(a *sim.Actor) {
		defer func() {
			if a.Crashed() && s.rejoins && !s.over && me.Incarnation == 1 {
				s.join(work.Owner{ID: me.ID, Incarnation: 2}, -1)
			}
		}()
		var st store.Store = view{a.Store(), s, a}
		if s.Owner != nil {
			st = s.Owner(st)
		}
		o.desk = s.deskOf(me.String(), a, st)
		o.list = o.desk.List(me)
		live(o)
	})
}

// join adds an owner; index says what is its part.
func (s *scene) join(me work.Owner, index int) { s.spawn(me, func(o *owner) { o.live(index) }) }

func (o *owner) live(index int) {
	s := o.scene
	if o.me.Incarnation > 1 {
		_ = o.desk.Supersede(ctx, o.me)
	}
	if index == 0 {
		o.only = s.alone
		o.accept(s.units)
	}
	for n := range s.rounds {
		if index == 1 && s.rivals && (n == 0 || s.weeks) {
			o.accept(s.units[:1])
		}
		o.round()
		switch {
		case s.weeks:
			if o.daily() != nil {
				return
			}
		case !s.exact:
			o.actor.Sleep(10 * time.Millisecond)
		}
	}
	if o.only {
		s.world.Seen("lived for more than a month")
	}
	if index >= s.owners-s.leaves {
		o.gone = true
		o.fate(s.Leave(o.desk, o.me, s.choose), "left")
	}
}

// fate counts how a step ended.
func (o *owner) fate(err error, good string) {
	w := o.scene.world
	switch {
	case err == nil:
		w.Seen(good)
	case errors.Is(err, work.ErrFenced):
		w.Seen("fenced: not " + good)
	case errors.Is(err, work.ErrNoHeir), errors.Is(err, work.ErrDone):
	default:
		o.scene.judge.fail("error: %v: %s: %v", o.me, good, err)
	}
}

func (o *owner) accept(units []string) {
	for _, id := range units {
		u, err := o.desk.PutUnit(ctx, id, []byte("payload of "+id), 0)
		if err != nil {
			continue
		}
		mine, err := o.scene.Claim(o.desk, o.me, u, 0)
		o.fate(err, "claimed")
		if mine && err == nil {
			o.scene.judge.claimed(o.me, id)
			o.begin(work.Intent{Unit: u, Epoch: 1})
		}
	}
}

// begin is for one who does not scan.
func (o *owner) begin(i work.Intent) {
	if o.only && o.list.Take(i.Unit.ID, i.Epoch) {
		o.start(i)
	}
}

// round is one scan, one step of each epoch that runs, and the refreshing.
func (o *owner) round() {
	runnable := o.scan()
	for _, r := range slices.Clone(o.runs) {
		o.step(r)
	}
	for _, i := range runnable {
		o.start(i)
	}
	if err := o.scene.Refresh(o.list); err != nil && !errors.Is(err, sim.ErrFault) {
		o.scene.judge.fail("error: %v refreshes: %v", o.me, err)
	}
}

func (o *owner) scan() []work.Intent {
	if o.only {
		return nil
	}
	runnable, err := o.scene.Scan(o.list)
	if err != nil && !errors.Is(err, sim.ErrFault) {
		o.scene.judge.fail("error: %v scans: %v", o.me, err)
	}
	return runnable
}

// daily keeps alive what runs. Its error says that the owner is dead, which every process learns within a day.
func (o *owner) daily() error {
	for _, r := range o.runs {
		if err := r.h.Refresh(ctx); err != nil {
			o.scene.judge.fail("error: %v refreshes %s: %v", o.me, r.h.Unit.ID, err)
		}
	}
	o.actor.Sleep(mostOfADay)
	if _, dead, _ := o.desk.Dead(ctx, o.me); dead {
		return work.ErrFenced
	}
	return nil
}

func (o *owner) start(i work.Intent) {
	h, base, err := o.scene.Begin(o.desk, o.me, i.Unit, i.Epoch)
	o.fate(err, "begun")
	if err == nil {
		o.scene.judge.began(o.me, i.Unit.ID, i.Epoch, string(base))
		o.runs = append(o.runs, &running{h: h})
	}
}

// step writes the next checkpoint, and the result after the last.
func (o *owner) step(r *running) {
	s, u, f := o.scene, r.h.Unit.ID, r.h.Epoch
	if s.weeks && r.n == 2 && !s.over {
		return // it only lives
	}
	if r.n == s.states {
		o.runs = slices.DeleteFunc(o.runs, func(x *running) bool { return x == r })
		o.finish(r.h)
		return
	}
	state := fmt.Sprintf("%s:%d:%d", u, f, r.n)
	r.n++
	s.judge.tries(u, f, state)
	err := s.Checkpoint(r.h, []byte(state))
	o.fate(err, "checkpoint")
	if err == nil {
		s.judge.acknowledged(u, f)
	}
}

func (o *owner) finish(h *work.Held) {
	result := "result of " + o.me.String()
	err := o.scene.Done(h, []byte(result))
	o.fate(err, "done")
	if err == nil {
		o.scene.judge.done(o.me, h.Unit.ID, h.Epoch, result)
	}
}

// spawnHeir adds an owner that was started to inherit the first unit, by somebody who saw its owner dead.
func (s *scene) spawnHeir() {
	s.spawn(work.Owner{ID: "s", Incarnation: 1}, func(o *owner) {
		o.inherit(s.units[0])
		for range s.rounds {
			o.round()
		}
	})
}

func (o *owner) inherit(unit string) {
	for range o.scene.rounds {
		d, found, _ := o.desk.Ended(ctx, unit, 0)
		if found && d.To != nil {
			if _, dead, _ := o.desk.Dead(ctx, *d.To); dead {
				_, err := o.scene.Claim(o.desk, o.me, work.Unit{ID: unit, Digest: d.Digest}, 1)
				o.fate(err, "claimed a later epoch")
				return
			}
		}
		o.actor.Sleep(15 * time.Millisecond)
	}
}
