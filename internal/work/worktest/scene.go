package worktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// namespace is that of the instances which drivers are proved on.
const namespace = "conformance"

var space = keys.In(namespace)

var ring = func() *envelope.Ring {
	r, err := envelope.NewRing(namespace, envelope.Key{Secret: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		panic(err)
	}
	return r
}()

const mostOfADay = 23 * time.Hour

type scene struct {
	plan
	Procedures
	world     *sim.World
	chooser   sim.Chooser
	judge     *judge
	units     []string
	everybody []*owner
	heirs     map[place]work.Owner // the last that was chosen for the end of an epoch
	over      bool
}

func play(on sim.Ground, c sim.Chooser, opts sim.Options, p plan, procs Procedures) (*sim.World, error) {
	s := newScene(on, c, opts, p, procs)
	err := s.world.Run()
	s.over = true
	if err == nil {
		s.finish()
		err = s.judge.wrong
	}
	return s.world, err
}

func newScene(on sim.Ground, c sim.Chooser, opts sim.Options, p plan, procs Procedures) *scene {
	s := &scene{plan: p, Procedures: procs, world: sim.On(on, c, opts), chooser: c, heirs: map[place]work.Owner{}}
	s.judge = newJudge(s.world.Store, s.world.Seen, s.crashed)
	s.judge.weeks = p.weeks
	s.world.Store = watched{s.world.Store, s.judge.wrote}
	for i := range p.units {
		s.units = append(s.units, fmt.Sprintf("u%d", i))
		s.judge.watchEpochs(s.units[i], 0)
	}
	for i := range p.owners {
		s.join(work.Owner{ID: string(rune('a' + i)), Incarnation: 1}, i)
	}
	if p.spawns {
		s.spawnHeir()
	}
	for i := range p.monitors {
		s.spawnMonitor(i)
	}
	return s
}

func (s *scene) crashed(o work.Owner) bool {
	return slices.ContainsFunc(s.everybody, func(x *owner) bool { return x.me == o && x.actor.Crashed() })
}

// view is the store of an actor: any operation may stall, and once the world is over it leads straight to its store.
type view struct {
	store.Store
	scene *scene
	actor *sim.Actor
}

func (v view) at() store.Store {
	s := v.scene
	if s.over {
		return s.world.Store
	}
	if s.stalls && !v.actor.Crashed() && s.chooser.Choose("stall", 3) > 0 {
		s.world.Seen("stalled")
		v.actor.Sleep(25 * time.Millisecond)
	}
	return v.Store
}

func (v view) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return v.at().SetEX(ctx, key, value, ttl)
}

func (v view) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return v.at().Expire(ctx, key, ttl)
}

func (v view) Get(ctx context.Context, key string) ([]byte, error) { return v.at().Get(ctx, key) }

func (v view) Incr(ctx context.Context, key string) (int64, error) { return v.at().Incr(ctx, key) }

func (v view) Keys(ctx context.Context, prefix string) ([]string, error) {
	return v.at().Keys(ctx, prefix)
}

func (v view) Capabilities() (caps store.Capabilities) {
	has := store.CapabilitiesOf(v.Store)
	if has.Append != nil {
		caps.Append = v
	}
	if has.Batch != nil {
		caps.Batch = v
	}
	return caps
}

func (v view) Append(ctx context.Context, a store.Append) (int64, error) {
	return store.CapabilitiesOf(v.at()).Append.Append(ctx, a)
}

func (v view) Batch(ctx context.Context, ops []store.Op) []store.Result {
	return store.Batch(ctx, v.at(), ops)
}

// deskOf is the desk of an actor, or of one who acts when all is over.
func (s *scene) deskOf(by string, a *sim.Actor, st store.Store) *work.Desk {
	return &work.Desk{
		Store: st, Space: space, Ring: ring, Times: work.DefaultTimes, Now: s.world.Now, By: by,
		Pause: func(_ context.Context, attempt int) error {
			if s.over {
				s.world.Advance(time.Second)
				return nil
			}
			own := len(by) + int(by[0]%7) + 1 // and growing, or they get in each other's way for ever
			a.Sleep(time.Duration(own<<min(attempt-1, 12)) * time.Millisecond)
			return nil
		},
	}
}

func (s *scene) spawnMonitor(i int) {
	name := fmt.Sprintf("m%d", i)
	s.world.Spawn(name, func(a *sim.Actor) {
		d := s.deskOf(name, a, view{a.Store(), s, a})
		if s.weeks {
			s.watch(a, d)
		}
		for n := range s.targets {
			if s.exact {
				s.monitorOnce(d, s.everybody[n].me)
				continue
			}
			a.Sleep(time.Duration(s.chooser.Choose("next", 2*s.rounds)) * 5 * time.Millisecond)
			s.monitorOnce(d, s.everybody[s.chooser.Choose("next", len(s.everybody))].me)
		}
		for range s.hurries {
			a.Sleep(time.Duration(s.chooser.Choose("next", s.rounds)) * 5 * time.Millisecond)
			s.hurry(d, s.units[0])
		}
	})
}

// watch finds the crashed within a day, and somebody who lives now and then, and sees to the dead until they are handled.
func (s *scene) watch(a *sim.Actor, d *work.Desk) {
	for range s.rounds {
		for _, o := range s.everybody {
			_, dead, err := d.Dead(ctx, o.me)
			if err != nil || !dead && !o.actor.Crashed() && s.chooser.Choose("next", 40) != 1 {
				continue
			}
			if handled, err := d.Handled(ctx, o.me); err == nil && !handled {
				s.monitorOnce(d, o.me)
			}
		}
		a.Sleep(mostOfADay)
	}
}

// hurry ends the epoch of unit that is open, whether its owner lives or not.
func (s *scene) hurry(d *work.Desk, unit string) {
	var before work.Decision
	for e := int64(0); ; e++ {
		decided, found, err := d.Ended(ctx, unit, e)
		switch {
		case err != nil:
			s.judge.fail("error: %s reads epoch %d of %s: %v", d.By, e, unit, err)
			return
		case found:
			before = decided
			continue
		case before.To == nil:
			return // nobody accepted it yet, or it is done
		}
		_, mine, err := d.Close(ctx, work.Unit{ID: unit, Digest: before.Digest}, e, s.choose)
		if mine {
			s.world.Seen("taken from the living")
		}
		if err != nil && !errors.Is(err, work.ErrNoHeir) {
			s.judge.fail("error: %s closes epoch %d of %s: %v", d.By, e, unit, err)
		}
		return
	}
}

// monitorOnce accuses o, falsely if it lives, and hands over.
func (s *scene) monitorOnce(d *work.Desk, o work.Owner) {
	for range 2 {
		err := s.HandOver(d, o, s.choose)
		if err == nil {
			return
		}
		if !errors.Is(err, work.ErrNoHeir) {
			s.judge.fail("error: %s hands over %v: %v", d.By, o, err)
		}
	}
}

// choose draws an heir among all owners who take anything over, dead or alive.
func (s *scene) choose(u work.Unit, e int64, not []work.Owner) (work.Owner, bool) {
	var able []work.Owner
	for i, o := range s.everybody {
		if !slices.Contains(not, o.me) && !(s.alone && i == 0) {
			able = append(able, o.me)
		}
	}
	if len(not) > 1 {
		s.world.Seen("an heir was dead")
	}
	if len(able) == 0 || s.reckless && s.chooser.Choose("next", 4) == 1 {
		s.world.Seen("no heir")
		return work.Owner{}, false
	}
	h := able[0]
	if !s.exact {
		h = able[s.chooser.Choose("next", len(able))]
	}
	if was, ok := s.heirs[place{u.ID, e}]; ok && was != h {
		s.world.Seen("two heirs for one epoch")
	}
	s.heirs[place{u.ID, e}] = h
	return h, true
}

// finish lets the living go on undisturbed, finds the dead, and hands over to one who lives for ever.
func (s *scene) finish() {
	heir := &owner{scene: s, me: work.Owner{ID: "z", Incarnation: 1}}
	heir.desk = s.deskOf("z/1", nil, s.world.Store)
	heir.list = heir.desk.List(heir.me)
	s.judge.watchOwner(heir.me)
	mon := s.deskOf("last", nil, s.world.Store)
	for n := range 100 {
		if n > 3 && s.judge.unfinished(s.units) == "" {
			break
		}
		for _, o := range s.everybody {
			s.escalate(mon, o, heir.me)
		}
		heir.round()
	}
	s.judge.finished(s.units)
}

// escalate is what a monitor does about o, and o about itself.
func (s *scene) escalate(mon *work.Desk, o *owner, heir work.Owner) {
	_, dead, _ := mon.Dead(ctx, o.me)
	if !dead && !o.actor.Crashed() && o.list != nil {
		o.round()
		return
	}
	if handled, _ := mon.Handled(ctx, o.me); handled {
		return
	}
	heirs := func(work.Unit, int64, []work.Owner) (work.Owner, bool) { return heir, true }
	if err := s.HandOver(mon, o.me, heirs); err != nil {
		s.judge.fail("error: escalating %v: %v", o.me, err)
	}
}
