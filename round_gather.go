package coord

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/store"
)

// gathering is one Gather under way: the goroutines and timers around a round. The goroutine that called Gather owns it;
// those that ask leave their replies.
type gathering struct {
	coordinator *Coordinator
	round       *round.Round
	within      time.Duration
	began       time.Time
	waits       atomic.Pointer[envelope.Blocked] // what it waits for, for those who look on
	asked       []*outgoing
	tick        chan struct{}

	asking  sync.WaitGroup
	wake    chan struct{} // a reply was left
	mu      sync.Mutex
	replies []reply
}

type reply struct {
	to  *outgoing
	ack *envelope.Ack // nil: none came
	err error
}

func (a *Coordinator) gathering(name string, question any, opt options, accept func(string, []byte) error) (*gathering, error) {
	o := opt.inRound()
	if err := errors.Join(checkID("round", name), checkMembers(o.to), a.alive()); err != nil {
		return nil, err
	}
	payload, err := o.codec.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("the question: %w", err)
	}
	r := round.New(a.client.briefDesk(), envelope.Signal{
		Sender: a.id, Type: round.QuestionType, Round: name, Payload: slices.Clone(payload), Trace: opt.trace,
		Incarnation: a.me.Incarnation, Session: a.me.Session,
	}, o.to...)
	r.Until = func(members []round.Member) bool { return o.until(publicMembers(members)) }
	r.OnDeath = round.OnDeath{Fail: o.death.fail, Substitute: o.death.substitute}
	r.Accept, r.Refused = accept, a.refused
	return &gathering{
		coordinator: a, round: r, within: opt.bound(a.client.Timeout), began: a.client.Clock.Now(),
		wake: make(chan struct{}, 1), tick: make(chan struct{}, 1),
	}, nil
}

func publicMembers(members []round.Member) []Member {
	all := make([]Member, len(members))
	for i, m := range members {
		all[i] = Member{m.ID, MemberState(m.State), cut(m.Reason), m.Incarnation, m.Replaces, m.ReplacedBy}
	}
	return all
}

func (g *gathering) report() []Member { return publicMembers(g.round.Members()) }

// run returns nil if there is enough, else ErrIncomplete and why.
func (g *gathering) run(ctx context.Context) error {
	g.coordinator.rounds.add(&g.waits)
	defer g.coordinator.rounds.remove(&g.waits)
	return g.round.End(g.last(g.gather(ctx)))
}

// gather returns when it is over, or why not. Nobody asks any more then, also where a Condition, a policy or a codec
// panics.
func (g *gathering) gather(ctx context.Context) error {
	bounded, stop := g.coordinator.bounded(ctx, g.within)
	defer g.asking.Wait() // each has looked for its reply once more
	defer stop()
	err := g.turn(bounded)
	for err == nil && !g.round.Over() {
		err = g.next(bounded)
	}
	return err
}

// last takes in what stands there at the end, also of those who were not asked. The store has one poll for that.
func (g *gathering) last(cause error) error {
	a := g.coordinator
	ctx, stop := a.bounded(a.life, a.client.Poll)
	defer stop()
	g.take(ctx)
	if cause == nil || g.round.Over() {
		return cause
	}
	if err := g.look(ctx); final(err) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return cause
}

// turn looks, and asks those of whom it is known by now that they have not replied: in an outage nobody, and where
// something of one member is broken, the others (S7).
func (g *gathering) turn(ctx context.Context) error {
	err := g.look(ctx)
	switch {
	case final(err):
		return err
	case ctx.Err() != nil && !g.round.Over():
		return context.Cause(ctx)
	}
	return g.ask(ctx)
}

// final: it is no one member's trouble, and does not pass.
func final(err error) bool {
	return errors.Is(err, store.ErrDenied) || errors.Is(err, ErrOtherQuestion)
}

// next waits for a reply, or for the time to look.
func (g *gathering) next(ctx context.Context) error {
	c := g.coordinator.client
	stop := c.Clock.AfterFunc(c.Poll, func() {
		select {
		case g.tick <- struct{}{}:
		default:
		}
	})
	defer stop()
	for {
		select {
		case <-g.wake:
			if g.take(ctx); g.round.Over() {
				return nil
			}
		case <-g.tick:
			g.take(ctx)
			return g.turn(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look finds out who has replied and who is dead.
func (g *gathering) look(ctx context.Context) error {
	defer g.rest()
	return g.round.Look(ctx)
}

// forever is longer than anybody waits.
const forever time.Duration = math.MaxInt64

// ask has the questions that are due posted, each again and again until its ACK comes or ctx ends.
func (g *gathering) ask(ctx context.Context) error {
	a := g.coordinator
	for _, question := range g.round.Due() {
		o := &outgoing{news: make(chan struct{}, 1), message: question}
		o.Context = ctx
		switch err := a.out.compose(o); {
		case errors.Is(err, ErrMailboxFull):
			g.round.Asked(question.Receiver, err) // S7: the others do not wait until there is room
			continue
		case err != nil:
			return err
		}
		g.asked = append(g.asked, o)
		g.asking.Go(func() {
			defer a.out.drop(o)
			defer o.end(context.Canceled)
			ack, err := a.untilAck(o, forever) // ctx ends it
			g.leave(reply{o, ack, err})
		})
	}
	return nil
}

func (g *gathering) leave(r reply) {
	g.mu.Lock()
	g.replies = append(g.replies, r)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take takes in the replies that were left. What the store would not settle is left for the next look.
func (g *gathering) take(ctx context.Context) {
	g.mu.Lock()
	replies := g.replies
	g.replies = nil
	g.mu.Unlock()
	for _, r := range replies {
		if r.ack == nil {
			g.missed(r)
		} else if g.round.Settle(ctx, r.ack) != nil {
			g.mu.Lock()
			g.replies = append(g.replies, r)
			g.mu.Unlock()
		}
	}
	g.rest()
}

// missed: asking has ended without a reply. S7: one broken mailbox is asked again later, and ends nothing.
func (g *gathering) missed(r reply) {
	id := r.to.signal.Receiver
	switch {
	case !g.round.Waits(id):
	case final(r.err):
		g.round.Lose(r.err)
	case store.Permanent(r.err):
		g.asked = slices.DeleteFunc(g.asked, func(o *outgoing) bool { return o == r.to })
		g.round.Asked(id, r.err)
	case r.to.posted.Load():
		g.round.Asked(id, nil)
	}
}

// rest has those stop asking whose members have replied or died.
func (g *gathering) rest() {
	g.asked = slices.DeleteFunc(g.asked, func(o *outgoing) bool {
		id := o.signal.Receiver
		if g.round.Waits(id) {
			return false
		}
		if ack := g.round.Reply(id); ack != nil {
			g.answered(o, ack)
		} else {
			o.end(ErrNoAck)
			o.nudge()
		}
		return true
	})
	g.tell()
}

// tell says for whom the round waits.
func (g *gathering) tell() {
	w := &envelope.Blocked{Round: g.round.Question.Round, Since: g.began}
	for _, m := range g.round.Members() {
		if m.State == round.Open {
			w.On = append(w.On, m.ID)
		}
	}
	g.waits.Store(w)
}

// answered says so.
func (g *gathering) answered(o *outgoing, ack *envelope.Ack) {
	c := g.coordinator.client
	g.coordinator.out.acknowledged(o, ack)
	if c.watched() {
		s := o.signal
		c.emit(SignalAcknowledged{s.ID, s.Sender, s.Receiver, s.Type, c.Clock.Now().Sub(s.Time), ack.Rejected})
	}
}
