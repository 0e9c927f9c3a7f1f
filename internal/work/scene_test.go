package work_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// procedures are those under test; a mutant replaces one.
type procedures struct {
	claim      func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error)
	handOver   func(d *work.Desk, o work.Owner, c work.Choose) error
	leave      func(d *work.Desk, me work.Owner, c work.Choose) error
	scan       func(l *work.List) ([]work.Intent, error)
	begin      func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error)
	checkpoint func(h *work.Held, data []byte) error
	done       func(h *work.Held, data []byte) error
	refresh    func(l *work.List) error

	owner, monitor func(store.Store) store.Store // a broken view of the store
}

func real() procedures {
	return procedures{
		claim: func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error) {
			mine, _, err := d.Claim(ctx, me, u, e)
			return mine, err
		},
		handOver: func(d *work.Desk, o work.Owner, c work.Choose) error {
			_, _, err := d.DecideDead(ctx, o, work.Death{Reason: work.Silent})
			if err == nil {
				_, _, err = d.HandOver(ctx, o, c)
			}
			return err
		},
		leave: func(d *work.Desk, me work.Owner, c work.Choose) error {
			_, _, err := d.Leave(ctx, me, c)
			return err
		},
		scan: func(l *work.List) ([]work.Intent, error) {
			all, _, err := l.Scan(ctx)
			return all, err
		},
		begin: func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
			return d.Begin(ctx, me, u, f)
		},
		checkpoint: func(h *work.Held, data []byte) error { return h.Checkpoint(ctx, data) },
		done:       func(h *work.Held, data []byte) error { return h.Done(ctx, data) },
		refresh:    func(l *work.List) error { return l.Refresh(ctx) },
	}
}

// plan says who takes part in a scene, and what each does.
type plan struct {
	units    int  // accepted by the first owner
	rivals   bool // the second owner accepts the first unit too
	owners   int  // a/1, b/1, c/1 ...
	rounds   int  // how often each owner scans
	states   int  // checkpoints of each epoch
	monitors int
	targets  int  // how many owners each monitor accuses, falsely if they live
	leaves   int  // so many of the last owners leave
	spawns   bool // somebody claims the second epoch of the first unit with an incarnation of its own
	rejoins  bool // an owner that crashed comes back as the next incarnation
	stalls   bool // anybody may stop for longer than a round, between any two operations
	exact    bool // nothing is drawn but the interleaving: monitors find the first owners dead, in this order, at once
	reckless bool // a monitor gives up on a unit now and then, and comes back
}

type scene struct {
	plan
	procedures
	world     *sim.World
	chooser   sim.Chooser
	judge     *judge
	space     keys.Space
	everybody []*owner
	heirs     map[place]work.Owner // the last that was chosen for the end of an epoch
	over      bool
	dirty     bool // something was written since the judge looked
	late      int  // how many late writes had come by then
}

// door is the store of an actor: it lets the judge look, and leads straight to the memory once the world is over.
type door struct {
	store.Store
	scene *scene
	actor *sim.Actor
}

// at lets the judge look, if anything was written since it last did: by an operation, of a crashed actor too, or late.
func (d door) at() store.Store {
	s := d.scene
	if late := s.world.Counts()["ghost applied"]; s.dirty || late != s.late {
		s.dirty, s.late = false, late
		s.judge.look()
	}
	if s.over {
		return s.world.Mem
	}
	if s.stalls && !d.actor.Crashed() && s.chooser.Choose("stall", 3) > 0 {
		s.world.Seen("stalled")
		d.actor.Sleep(25 * time.Millisecond)
	}
	return d.Store
}

func (d door) wrote() { d.scene.dirty = true }

func (d door) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	defer d.wrote()
	return d.at().SetEX(ctx, key, value, ttl)
}

func (d door) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	defer d.wrote()
	return d.at().Expire(ctx, key, ttl)
}

func (d door) Get(ctx context.Context, key string) ([]byte, error) { return d.at().Get(ctx, key) }

func (d door) Incr(ctx context.Context, key string) (int64, error) { return d.at().Incr(ctx, key) }

func (d door) Keys(ctx context.Context, prefix string) ([]string, error) {
	return d.at().Keys(ctx, prefix)
}

func (d door) Capabilities() store.Capabilities {
	if d.scene.over || store.CapabilitiesOf(d.Store).Append == nil {
		return store.Capabilities{}
	}
	return store.Capabilities{Append: d}
}

func (d door) Append(ctx context.Context, a store.Append) (int64, error) {
	defer d.wrote()
	return store.CapabilitiesOf(d.at()).Append.Append(ctx, a)
}

func newScene(c sim.Chooser, opts sim.Options, p plan, procs procedures) *scene {
	s := &scene{plan: p, procedures: procs, world: sim.New(c, opts), chooser: c, space: keys.In("t"), heirs: map[place]work.Owner{}}
	straight := s.deskOn(s.world.Mem, "judge", nil)
	var units []string
	for i := range p.units {
		units = append(units, fmt.Sprintf("u%d", i))
	}
	s.judge = newJudge(straight, units, nil, s.world.Seen)
	s.judge.crashed = func(o work.Owner) bool {
		return slices.ContainsFunc(s.everybody, func(x *owner) bool { return x.me == o && x.actor.Crashed() })
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

func (s *scene) deskOn(st store.Store, by string, a *sim.Actor) *work.Desk {
	return &work.Desk{
		Store: st, Space: s.space, Ring: ring(), Times: work.DefaultTimes, Now: s.world.Clock.Now, By: by,
		Pause: func(_ context.Context, attempt int) error {
			if s.over || a == nil {
				s.world.Clock.Advance(time.Second)
				return nil
			}
			a.Sleep(time.Duration(attempt*(len(by)+int(by[0]%7)+1)) * time.Millisecond)
			return nil
		},
	}
}

func (s *scene) view(a *sim.Actor, broken func(store.Store) store.Store) store.Store {
	var st store.Store = door{a.Store(), s, a}
	if broken != nil {
		st = broken(st)
	}
	return st
}

// choose draws an heir among all owners, dead or alive.
func (s *scene) choose(u work.Unit, e int64, not []work.Owner) (work.Owner, bool) {
	var able []work.Owner
	for _, o := range s.everybody {
		if !slices.Contains(not, o.me) {
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

func (s *scene) spawnMonitor(i int) {
	name := fmt.Sprintf("m%d", i)
	s.world.Spawn(name, func(a *sim.Actor) {
		d := s.deskOn(s.view(a, s.monitor), name, a)
		for n := range s.targets {
			if s.exact {
				s.monitorOnce(d, s.everybody[n].me)
				continue
			}
			a.Sleep(time.Duration(s.chooser.Choose("next", 2*s.rounds)) * 5 * time.Millisecond)
			s.monitorOnce(d, s.everybody[s.chooser.Choose("next", len(s.everybody))].me)
		}
	})
}

// monitorOnce accuses o, falsely if it lives, and hands over.
func (s *scene) monitorOnce(d *work.Desk, o work.Owner) {
	for range 2 {
		err := s.handOver(d, o, s.choose)
		if err == nil {
			return
		}
		if !errors.Is(err, work.ErrNoHeir) {
			s.judge.fail("%s hands over %v: %v", d.By, o, err)
		}
	}
}

func play(c sim.Chooser, opts sim.Options, p plan, procs procedures) (*scene, error) {
	s := newScene(c, opts, p, procs)
	err := s.world.Run()
	s.over = true
	if err == nil {
		s.finish()
		err = s.judge.wrong
	}
	return s, err
}

// finish lets the living go on undisturbed, finds the dead, and hands over to one who lives for ever.
func (s *scene) finish() {
	heir := &owner{scene: s, me: work.Owner{ID: "z", Incarnation: 1}}
	heir.desk = s.deskOn(door{scene: s}, "z/1", nil)
	heir.list = heir.desk.List(heir.me)
	s.judge.owners = append(s.judge.owners, heir.me)
	mon := s.deskOn(door{scene: s}, "last", nil)
	for range 5 + s.states {
		for _, o := range s.everybody {
			s.escalate(mon, o, heir.me)
		}
		heir.round()
	}
	s.judge.finished()
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
	if err := s.handOver(mon, o.me, always(heir)); err != nil {
		s.judge.fail("escalating %v: %v", o.me, err)
	}
}
