package detecttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// Play is one run.
func (of Company) Play(on sim.Ground, c sim.Chooser) (*sim.World, error) {
	p := &play{Company: of, world: sim.On(on, c, of.Options), choose: c}
	p.judge = newJudge(p.world, of.Policy)
	if err := p.begin(); err != nil {
		return p.world, err
	}
	p.member()
	for i := range of.Monitors {
		p.monitor(fmt.Sprint("m", i+1), time.Duration(i+1)*5*time.Hour)
	}
	if err := p.world.Run(); err != nil {
		return p.world, err
	}
	p.over = true
	p.look()
	p.finish()
	return p.world, p.wrong
}

// play is a run under way.
type play struct {
	Company
	*judge
	world  *sim.World
	choose sim.Chooser
	mine   int // decisions by those whose they were
	over   bool
}

// begin is the first life of the store.
func (p *play) begin() error {
	err := p.birth("1")
	p.look()
	return err
}

// lose empties the store. The member restarts with it: its number, its place in the registry and its beats are again what
// they were before.
func (p *play) lose() {
	names, err := p.world.Store.Keys(ctx, space.Prefix())
	for _, name := range names {
		_, e := p.world.Store.Expire(ctx, name, 0)
		err = cmp.Or(err, e)
	}
	if err = cmp.Or(err, p.birth("2")); err != nil {
		p.fail("the store: %v", err)
	}
	p.born = p.world.Now()
	p.seq, p.rise, p.decision, p.mine = 1, p.born, nil, 0
	p.world.Seen("store lost")
	p.look()
}

// birth writes the generation, and registers the member, which has beaten once.
func (p *play) birth(generation string) error {
	sealed := must(envelope.SealJSON(ring, envelope.KindGeneration, map[string]string{"generation": generation}))
	if err := p.world.Store.SetEX(ctx, space.Generation(), sealed, times.Entry); err != nil {
		return err
	}
	log := ticketlog.Log{Store: p.world.Store, Keys: space.Members(), Times: times, Now: p.world.Now}
	entry := must(envelope.AppendMember(nil, ring, &envelope.Member{ID: "p", Incarnation: 1, Session: "s"}))
	_, err := log.Append(ctx, entry, "")
	if err == nil {
		err = p.world.Store.SetEX(ctx, space.Heartbeat("p"), beatOf(1, p.world.Now()), p.Policy.TTL)
	}
	return err
}

func (p *play) member() {
	p.world.Spawn("p", func(a *sim.Actor) {
		p.beat(a, p.Beats)
		if p.Loses {
			a.Sleep(p.pause())
			p.lose()
			p.beat(a, p.Beats)
		}
	})
}

// beat beats so often, after a first beat.
func (p *play) beat(a *sim.Actor, times int) {
	s := &door{Store: a.Store(), play: p}
	for seq := uint64(2); seq < uint64(times)+2; seq++ {
		a.Sleep(p.pause())
		_ = s.SetEX(ctx, space.Heartbeat("p"), beatOf(seq, p.on(a.Now(), -7*time.Hour)), p.Policy.TTL)
		if late := s.Capabilities().Late; late != nil && seq%detect.Touching == 0 {
			_ = late.Touch(ctx, space.Late(), time.Hour, keys.Indexed("p", 1))
		}
	}
}

// pause is how long the member is silent.
func (p *play) pause() time.Duration {
	if p.Pause == 0 {
		return p.Policy.Beat
	}
	return p.Policy.Beat * time.Duration(1+2*p.choose.Choose("pause", p.Pause+1))
}

// on is a clock that is off by so much.
func (p *play) on(at time.Time, off time.Duration) time.Time {
	if p.Skewed {
		at = at.Add(off)
	}
	return at
}

func (p *play) monitor(name string, off time.Duration) {
	p.world.Spawn(name, func(a *sim.Actor) {
		defer func() {
			if a.Crashed() && !p.over {
				p.monitor(name+"'", off)
			}
		}()
		d := &door{Store: a.Store(), play: p, written: map[string]time.Time{}}
		w := p.watch(d, func() time.Time { return p.on(a.Now(), off) }, name, d.accuse)
		for range p.Rounds {
			report, _ := p.Check(w, ctx)
			p.report(a, report)
			a.Sleep(p.Policy.Check)
		}
	})
}

func (p *play) watch(s store.Store, now func() time.Time, name string, accuse func()) *detect.Watch {
	return &detect.Watch{
		Store: s, Space: space, Ring: ring, Policy: p.Policy, Times: times, Name: name, Now: now, Few: -1,
		Decide: func(context.Context, string, int64, uint64, time.Duration) (bool, error) {
			accuse()
			_, mine, err := agree.Attempt(ctx, s, names(), plain{}, agree.TTLs{}, []byte("silent, says "+name))
			return mine, err
		},
		Dead: func(context.Context, string, int64) (bool, string, error) {
			reason, err := agree.Decided(ctx, s, names(), plain{})
			if errors.Is(err, store.ErrNotFound) {
				return false, "", nil
			}
			return err == nil, string(reason), err
		},
	}
}

func (p *play) report(a *sim.Actor, report detect.Report) {
	for _, f := range report.Findings {
		a.Note("%T%+v", f, f)
		p.world.Seen(fmt.Sprintf("%T", f))
		if dead, ok := f.(detect.Dead); ok && dead.Mine {
			if p.mine++; p.mine > 1 {
				p.fail("D4: said twice")
			}
		}
	}
}

// finish: D1, a new monitor with nothing in its way finds the death, or that it was found.
func (p *play) finish() {
	w := p.watch(struct{ store.Store }{p.world.Store}, p.world.Now, "last", func() {})
	_, high := detect.Bounds(p.Policy)
	for range high/p.Policy.Check + 1 {
		_, _ = p.Check(w, ctx)
		p.world.Advance(p.Policy.Check)
	}
	if _, err := p.world.Store.Get(ctx, space.Dead("p", 1).Decision()); err != nil {
		p.fail("D1: nobody found the death")
	}
}
