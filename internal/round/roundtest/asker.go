package roundtest

import (
	"context"
	"errors"
	"slices"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

var errCancelled = errors.New("cancelled")

// po is one life of the asker.
type po struct {
	*process
	me      work.Owner
	session string
	seq     uint64
	post    *mailbox.Post
}

// gathering is one Gather of it, with what is needed to judge it.
type gathering struct {
	*po
	round    *round.Round
	sent     []*question_
	accepted map[string]string // by id: the answer
	began    *before           // as its first look began
	before   *before           // its last
	dead     []string          // whom its looks have found dead
}

// question_ is one that was asked.
type question_ struct {
	signal envelope.Signal
	sealed []byte
}

// spawnAsker starts a life of the asker; where it crashes, the next one.
func (s *scene) spawnAsker() {
	s.world.Spawn(s.unique("po#"), func(a *sim.Actor) {
		p := &po{process: s.process(a)}
		defer func() {
			if a.Crashed() && !s.over && s.restarts > 0 {
				s.restarts--
				s.spawnAsker()
			}
		}()
		if !p.join() {
			return
		}
		for range s.gathers {
			p.gather(s.looks)
		}
	})
}

func (p *po) join() bool {
	p.me.ID, p.session = asker, p.scene.unique("session")
	p.post = &mailbox.Post{Store: p.port, Space: space, Ring: ring, Times: times, Now: p.now}
	number := func() (err error) { p.me.Incarnation, err = p.port.Incr(ctx, space.Incarnation(asker)); return err }
	supersede := func() error { return p.desk(p.port).Supersede(ctx, p.me) }
	return p.until(number) && p.until(supersede)
}

// gather asks until it is over, for so many looks at most, or until it is given up.
func (p *po) gather(looks int) *gathering {
	s := p.scene
	g := &gathering{po: p, accepted: map[string]string{}}
	q := question(name, "")
	q.ID, q.Incarnation, q.Session = "", p.me.Incarnation, p.session
	st := p.through(s.m.asker)
	if s.cuts && s.draw(2) == 1 {
		st = &cut{st, s.draw(30)}
	}
	g.round = round.New(p.desk(st), q, s.to...)
	g.round.Until = s.until
	g.round.Accept = g.accept
	g.round.OnDeath.Substitute = func(id string) string { return s.onDeath[id] }
	var cause error
	for n := 0; cause == nil && !g.round.Over(); n++ {
		if g.turn(); g.round.Over() {
			break
		}
		p.sleep(poll)
		if n >= looks || s.draw(4) == 1 {
			cause = errCancelled
		}
	}
	if !g.round.Over() {
		if s.m.cancel != nil {
			s.m.cancel(g)
		}
		g.look()
	}
	g.end(cause)
	return g
}

// turn looks, asks, and listens.
func (g *gathering) turn() {
	s := g.scene
	if s.m.turn != nil {
		s.m.turn(g)
	}
	g.look()
	for _, q := range g.round.Due() {
		g.ask(q)
	}
	for _, q := range g.sent {
		if g.round.Waits(q.signal.Receiver) {
			g.append(q)
		}
	}
	if n := s.draw(len(s.air) + 1); n > 0 {
		g.hear(s.air[n-1])
	}
}

func (g *gathering) look() {
	if g.before = g.scene.remember(g); g.began == nil {
		g.began = g.before
	}
	_ = g.round.Look(ctx) // each Trouble is told of by its member
	g.scene.judge(g)
}

// ask makes the question a signal, which is appended with every turn until it is answered.
func (g *gathering) ask(q envelope.Signal) {
	g.scene.asks(g, q)
	if g.scene.m.rename != nil {
		g.scene.m.rename(g, &q)
	}
	g.seq++
	q.Seq, q.Time = g.seq, g.now()
	sealed, err := envelope.AppendSignal(nil, ring, &q)
	if err != nil {
		panic(err)
	}
	g.sent = append(g.sent, &question_{q, sealed})
}

// append posts q. What becomes of it is seen by its ACK.
func (g *gathering) append(q *question_) { _ = g.post.Append(ctx, q.signal.Receiver, q.sealed) }

// hear takes in an ACK that was hinted, if it is one of a question that was asked.
func (g *gathering) hear(sealed []byte) {
	if g.scene.m.hear != nil {
		g.scene.m.hear(g, sealed)
		return
	}
	i := slices.IndexFunc(g.sent, func(q *question_) bool {
		ack, err := envelope.OpenAck(ring, asker, q.signal.ID, sealed)
		return err == nil && ack.Answers(&q.signal)
	})
	if i < 0 {
		return
	}
	ack, _ := envelope.OpenAck(ring, asker, g.sent[i].signal.ID, sealed) // it did
	g.scene.world.Seen("heard")
	if err := g.round.Settle(ctx, ack); err == nil {
		g.scene.settles(g)
	}
}

func (g *gathering) accept(from string, answer []byte) error {
	if _, twice := g.accepted[from]; twice {
		g.scene.broken("G4: the answer of %s was counted twice", from)
	}
	g.accepted[from] = string(answer)
	return nil
}

// end reports, and decides where there is enough.
func (g *gathering) end(cause error) {
	s := g.scene
	err := g.round.End(cause)
	s.report(g, err)
	if err != nil {
		s.world.Seen("given up")
		return
	}
	fenced := s.deadOrSuperseded(g.me)
	decide := round.Decide
	if s.m.decide != nil {
		decide = s.m.decide
	}
	o, mine, err := decide(ctx, g.desk(g.port), g.me, name, s.unique("outcome"), "why", s.unique("call"))
	s.decided(g, o, mine, err, fenced)
}

// cut is a store that answers so many times, and then no more.
type cut struct {
	store.Store
	left int
}

func (c *cut) Get(ctx context.Context, key string) ([]byte, error) {
	if c.left--; c.left < 0 {
		return nil, store.ErrUnavailable
	}
	return c.Store.Get(ctx, key)
}
