package work_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
)

// owner is one process that owns units.
type owner struct {
	scene *scene
	me    work.Owner
	actor *sim.Actor
	desk  *work.Desk
	list  *work.List
	gone  bool // it left
	runs  []*running
}

// join adds an owner; index says what is its part.
func (s *scene) join(me work.Owner, index int) {
	o := &owner{scene: s, me: me}
	s.everybody = append(s.everybody, o)
	s.judge.owners = append(s.judge.owners, me)
	o.actor = s.world.Spawn(me.String(), func(a *sim.Actor) {
		defer func() {
			if a.Crashed() && s.rejoins && !s.over && me.Incarnation == 1 {
				s.join(work.Owner{ID: me.ID, Incarnation: 2}, -1)
			}
		}()
		o.desk = s.deskOn(s.view(a, s.owner), me.String(), a)
		o.live(index)
	})
}

func (o *owner) live(index int) {
	s := o.scene
	o.list = o.desk.List(o.me)
	if o.me.Incarnation > 1 {
		_ = o.desk.Supersede(ctx, o.me)
	}
	if index == 0 {
		o.accept(s.judge.units)
	}
	if index == 1 && s.rivals {
		o.accept(s.judge.units[:1])
	}
	for i := 0; i < s.rounds && !o.gone; i++ {
		o.round()
		if !s.exact {
			o.actor.Sleep(10 * time.Millisecond)
		}
	}
	if index >= s.owners-s.leaves && !o.gone {
		o.gone = true
		err := s.leave(o.desk, o.me, s.choose)
		o.fate(err, "left")
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
		o.scene.judge.fail("%v: %s: %v", o.me, good, err)
	}
}

func (o *owner) accept(units []string) {
	for _, id := range units {
		u, err := o.desk.PutUnit(ctx, id, []byte("payload of "+id), 0)
		if err != nil {
			continue
		}
		mine, err := o.scene.claim(o.desk, o.me, u, 0)
		o.fate(err, "claimed")
		if mine && err == nil && o.scene.judge.ended[place{id, 0}].To != nil && !o.scene.judge.ended[place{id, 0}].Gives(o.me) {
			o.scene.judge.fail("X1: %v was told that it owns %s", o.me, id)
		}
	}
}

// running is an epoch on its way from one round to the next.
type running struct {
	h *work.Held
	n int // the checkpoints that were tried
}

// round is one scan, one step of each epoch that runs, and the refreshing.
func (o *owner) round() {
	runnable, err := o.scene.scan(o.list)
	if err != nil && !errors.Is(err, sim.ErrFault) {
		o.scene.judge.fail("%v scans: %v", o.me, err)
	}
	for _, r := range slices.Clone(o.runs) {
		o.step(r)
	}
	for _, i := range runnable {
		o.start(i)
	}
	if err := o.scene.refresh(o.list); err != nil {
		o.scene.judge.fail("%v refreshes: %v", o.me, err)
	}
}

func (o *owner) start(i work.Intent) {
	h, base, err := o.scene.begin(o.desk, o.me, i.Unit, i.Epoch)
	o.fate(err, "begun")
	if err == nil {
		o.scene.judge.began(o.me, i.Unit.ID, i.Epoch, base)
		o.runs = append(o.runs, &running{h: h})
	}
}

// step writes the next checkpoint, and the result after the last.
func (o *owner) step(r *running) {
	s, u, f := o.scene, r.h.Unit.ID, r.h.Epoch
	if r.n == s.states {
		o.runs = slices.DeleteFunc(o.runs, func(x *running) bool { return x == r })
		o.finish(r.h)
		return
	}
	state := fmt.Sprintf("%s:%d:%d", u, f, r.n)
	r.n++
	s.judge.tries(u, f, state)
	err := s.checkpoint(r.h, []byte(state))
	o.fate(err, "checkpoint")
	if err == nil {
		s.judge.acknowledged(u, f)
	}
}

func (o *owner) finish(h *work.Held) {
	result := "result of " + o.me.String()
	err := o.scene.done(h, []byte(result))
	o.fate(err, "done")
	if err == nil {
		o.scene.judge.done(o.me, h.Unit.ID, h.Epoch, result)
	}
}

// spawnHeir adds an owner that was started to inherit the first unit, by somebody who saw its owner dead.
func (s *scene) spawnHeir() {
	o := &owner{scene: s, me: work.Owner{ID: "s", Incarnation: 1}}
	s.everybody = append(s.everybody, o)
	s.judge.owners = append(s.judge.owners, o.me)
	o.actor = s.world.Spawn(o.me.String(), func(a *sim.Actor) {
		o.desk = s.deskOn(s.view(a, s.owner), o.me.String(), a)
		o.list = o.desk.List(o.me)
		o.inherit(s.judge.units[0])
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
				_, err := o.scene.claim(o.desk, o.me, work.Unit{ID: unit, Digest: d.Digest}, 1)
				o.fate(err, "claimed a later epoch")
				return
			}
		}
		o.actor.Sleep(15 * time.Millisecond)
	}
}
