package coord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// gathering is one Gather under way. The goroutine that called Gather owns it; those that ask leave their replies. The
// acknowledgement of a question, whose id follows from the round and the member, is the answer: nothing else is written.
type gathering struct {
	coordinator *Coordinator
	opt         *roundOptions
	within      time.Duration
	question    envelope.Signal // but for its id and receiver
	accept      func(from string, result []byte) error
	asked       []*asked
	lost        error // why it cannot go on
	informed    bool  // the store has told who had replied
	tick        chan struct{}

	asking  sync.WaitGroup
	wake    chan struct{} // a reply was left
	mu      sync.Mutex
	replies []reply
}

// asked is one member.
type asked struct {
	Member
	question envelope.Signal
	looked   bool      // whether it has replied before was looked up: it may be asked
	out      *outgoing // since it was asked
	refused  []byte    // what stood there instead of its reply
}

type reply struct {
	from *asked
	ack  *envelope.Ack // nil: none came
	err  error
}

func (a *Coordinator) gathering(round string, question any, opt options, accept func(string, []byte) error) (*gathering, error) {
	o := opt.inRound()
	if err := errors.Join(checkID("round", round), checkMembers(o.to), a.alive()); err != nil {
		return nil, err
	}
	payload, err := o.codec.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("the question: %w", err)
	}
	g := &gathering{
		coordinator: a, opt: o, within: opt.bound(a.client.Timeout), accept: accept,
		question: envelope.Signal{
			Sender: a.id, Type: questionType, Round: round, Payload: slices.Clone(payload), Trace: opt.trace,
			Incarnation: a.me.Incarnation, Session: a.me.Session,
		},
		wake: make(chan struct{}, 1), tick: make(chan struct{}, 1),
	}
	for _, id := range o.to {
		g.expect(Member{ID: id})
	}
	return g, nil
}

func (g *gathering) expect(m Member) {
	m.State = MemberOpen
	q := g.question
	q.ID, q.Receiver = g.coordinator.client.space.Question(q.Sender, q.Round, m.ID), m.ID
	g.asked = append(g.asked, &asked{Member: m, question: q})
}

func (g *gathering) report() []Member {
	members := make([]Member, len(g.asked))
	for i, m := range g.asked {
		members[i] = m.Member
	}
	return members
}

func (g *gathering) open() []*asked {
	return slices.DeleteFunc(slices.Clone(g.asked), func(m *asked) bool { return m.State != MemberOpen })
}

func (g *gathering) enough() bool { return g.opt.until(g.report()) }

func (g *gathering) over() bool { return g.lost != nil || len(g.open()) == 0 || g.enough() }

// run returns nil if there is enough, else ErrIncomplete and why.
func (g *gathering) run(ctx context.Context) error {
	bounded, stop := g.coordinator.bounded(ctx, g.within)
	err := g.begin(bounded)
	for err == nil && !g.over() {
		err = g.next(bounded)
	}
	stop()
	g.asking.Wait() // each has looked for its reply once more
	g.take()
	if err != nil && !g.over() {
		_ = g.look(g.coordinator.life) // for those who were not asked: what stands there counts
	}
	return g.verdict(errors.Join(g.lost, err))
}

func (g *gathering) verdict(cause error) error {
	enough, why := g.enough(), "enough had answered before"
	if !enough && cause != nil {
		why = cause.Error()
	}
	for _, m := range g.open() {
		m.State, m.Reason = MemberSilent, why
	}
	if !g.informed && cause != nil {
		cause = fmt.Errorf("%w: %w: the store never answered", cause, ErrUnavailable)
	}
	switch {
	case errors.Is(cause, ErrOtherQuestion):
	case enough:
		return nil
	case cause == nil:
		return ErrIncomplete
	}
	return fmt.Errorf("%w: %w", ErrIncomplete, cause)
}

// begin asks those who have not replied. Nobody is asked before it is known who has.
func (g *gathering) begin(ctx context.Context) error {
	c := g.coordinator.client
	for err := g.look(ctx); err != nil; err = g.look(ctx) {
		if final(err) || !c.pause(ctx, c.Poll) {
			return cmpCause(ctx, err)
		}
	}
	return g.ask(ctx)
}

// cmpCause is why ctx has ended, or else err.
func cmpCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func final(err error) bool { return store.Permanent(err) || errors.Is(err, ErrOtherQuestion) }

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
			if g.take(); g.over() {
				return nil
			}
		case <-g.tick:
			if err := g.look(ctx); err != nil && final(err) {
				return err
			}
			return g.ask(ctx) // substitutes
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask asks the open who were not asked.
func (g *gathering) ask(ctx context.Context) error {
	if g.over() {
		return nil
	}
	for _, m := range g.open() {
		if m.out == nil && m.looked {
			if err := g.askOne(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// askOne has m's question posted, again and again, until its ACK comes or ctx ends.
func (g *gathering) askOne(ctx context.Context, m *asked) error {
	a, o := g.coordinator, &outgoing{news: make(chan *envelope.Ack, 2), message: m.question}
	o.Context = ctx
	if err := a.out.compose(o); err != nil {
		return err
	}
	m.out = o
	g.asking.Go(func() {
		defer a.out.drop(o)
		defer o.end(context.Canceled)
		ack, err := a.untilAck(o, g.within+time.Hour) // ctx ends it
		g.leave(reply{m, ack, err})
	})
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

// take takes in the replies that were left.
func (g *gathering) take() {
	g.mu.Lock()
	replies := g.replies
	g.replies = nil
	g.mu.Unlock()
	for _, r := range replies {
		switch {
		case r.ack != nil:
			g.settle(r.from, r.ack)
		case store.Permanent(r.err) && r.from.State == MemberOpen:
			g.lost = r.err
		}
	}
}

// settle: m has replied. Who is settled stays so.
func (g *gathering) settle(m *asked, ack *envelope.Ack) {
	if m.State != MemberOpen {
		return
	}
	m.Incarnation = ack.Incarnation
	err := error(nil)
	if !ack.Rejected {
		err = g.accept(m.ID, ack.Result)
	}
	switch {
	case ack.Rejected:
		m.State, m.Reason = MemberRejected, ack.Reason
	case err != nil:
		m.State, m.Reason = MemberRejected, cut("the answer cannot be read: "+err.Error())
	default:
		m.State = MemberAnswered
	}
	if m.out != nil {
		g.answered(m, ack)
	}
}

// answered has whoever asks m stop, and says so.
func (g *gathering) answered(m *asked, ack *envelope.Ack) {
	c := g.coordinator.client
	g.coordinator.out.acknowledged(m.out, ack)
	if c.watched() {
		s := m.out.signal
		c.emit(SignalAcknowledged{s.ID, s.Sender, s.Receiver, s.Type, c.Clock.Now().Sub(s.Time), ack.Rejected})
	}
}

// look reads the replies of the open, and then which of them are dead. With every hint lost, it finds what there is.
func (g *gathering) look(ctx context.Context) error {
	c, open := g.coordinator.client, g.open()
	ops := make([]store.Op, 0, 2*len(open))
	for _, m := range open {
		ops = append(ops, store.GetOp(c.space.Ack(m.question.Sender, m.question.ID)), store.GetOp(c.space.Incarnation(m.ID)))
	}
	results := store.Batch(ctx, c.once, ops)
	if err := trouble(results); err != nil {
		return err
	}
	g.informed = true
	var doubtful []work.Owner // the last incarnations of those who have not replied
	var of []*asked
	for i, m := range open {
		if err := g.read(m, results[2*i]); err != nil {
			return err
		}
		n, _ := strconv.ParseInt(string(results[2*i+1].Value), 10, 64) // 0 where it never joined
		if m.State == MemberOpen && n > 0 {
			doubtful, of = append(doubtful, work.Owner{ID: m.ID, Incarnation: n}), append(of, m)
		}
	}
	return g.bury(ctx, doubtful, of)
}

// trouble is the first error that is not about an absent key.
func trouble(results []store.Result) error {
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, store.ErrNotFound) {
			return r.Err
		}
	}
	return nil
}

// read takes in what stands where m's reply is to stand.
func (g *gathering) read(m *asked, got store.Result) error {
	m.looked = true
	if got.Err != nil {
		return nil
	}
	ack, err := envelope.OpenAck(g.coordinator.client.ring, m.question.Sender, m.question.ID, got.Value)
	switch {
	case err == nil && ack.Answers(&m.question):
		g.settle(m, ack)
	case err == nil:
		return fmt.Errorf("%w: %s has replied to it", ErrOtherQuestion, m.ID)
	case !bytes.Equal(m.refused, got.Value): // no true ACK: told of once
		m.refused = got.Value
		g.coordinator.refused(err)
	}
	return nil
}

// bury settles those whose last incarnation is decided dead.
func (g *gathering) bury(ctx context.Context, owners []work.Owner, of []*asked) error {
	c := g.coordinator.client
	ops := make([]store.Op, len(owners))
	for i, o := range owners {
		ops[i] = store.GetOp(c.space.Dead(o.ID, o.Incarnation).Decision())
	}
	results := store.Batch(ctx, c.once, ops)
	if err := trouble(results); err != nil {
		return err
	}
	n := len(g.asked)
	for i, r := range results {
		if r.Err == nil {
			if err := g.mourn(ctx, of[i], owners[i]); err != nil {
				return err
			}
		}
	}
	if len(g.asked) > n { // substitutes, who may have replied before
		return g.look(ctx)
	}
	return nil
}

// mourn: something stands where o's death would be decided. What it replied before it died counts. Leaving on purpose is
// no death: it may come back, and its question waits for it.
func (g *gathering) mourn(ctx context.Context, m *asked, o work.Owner) error {
	c := g.coordinator.client
	death, dead, err := c.briefDesk().Dead(ctx, o)
	if err != nil || !dead || death.Reason != work.Silent {
		return err
	}
	value, err := c.once.Get(ctx, c.space.Ack(m.question.Sender, m.question.ID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if e := g.read(m, store.Result{Value: value, Err: err}); e != nil || m.State != MemberOpen {
		return e
	}
	m.State, m.Reason, m.Incarnation = MemberDead, "declared dead", o.Incarnation
	if m.out != nil {
		m.out.end(ErrNoAck)
		m.out.nudge()
	}
	g.replace(m)
	return nil
}

// replace does what the policy asks for.
func (g *gathering) replace(m *asked) {
	if g.opt.death.fail {
		g.lost = fmt.Errorf("%s is dead", m.ID)
	}
	if g.opt.death.substitute == nil {
		return
	}
	id := g.opt.death.substitute(m.ID)
	if id == "" || slices.ContainsFunc(g.asked, func(other *asked) bool { return other.ID == id }) {
		return
	}
	if err := checkID("substitute", id); err != nil {
		g.lost = err
		return
	}
	m.ReplacedBy = id
	g.expect(Member{ID: id, Replaces: m.ID})
}
