package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// Ack says that a signal was handed over, and what came of it.
type Ack struct {
	SignalID string
	From     string        // the receiver of the signal
	Result   []byte        // what its handler returned; nil for a Wait
	Latency  time.Duration // since Send began, by this process's clock
}

// ReplyTo names the signal that this one answers.
func ReplyTo(id string) Option { return func(o *options) { o.replyTo = id } }

// Trace carries a trace context, such as a traceparent, to the receiver.
func Trace(context string) Option { return func(o *options) { o.trace = context } }

// Send posts a signal and blocks until it is acknowledged. The payload is not kept. Errors: ErrRejected (with the ACK)
// if the receiver's handler refused it; ErrNoAck together with ErrTimeout or the cause of ctx's end, after which the
// signal stays in the mailbox and may still be handed over; ErrFenced, ErrClosed, ErrMailboxFull, ErrTooLarge,
// ErrInvalidID. It outlasts an outage of the store: if that never confirmed the signal, and failed meanwhile or when Send
// looked for the ACK once more at its end, the error is ErrUnavailable as well.
func (a *Coordinator) Send(ctx context.Context, to, typ string, payload []byte, opts ...Option) (*Ack, error) {
	c := a.client
	s := &sending{outgoing: outgoing{news: make(chan struct{}, 1)}}
	opt, o := &s.options, &s.outgoing
	if opt.apply(opts); opt.legacy || c.EmitLegacy {
		l, err := a.composeLegacy(to, typ, payload)
		if err != nil {
			return nil, a.unsent("legacy", to, typ, err)
		}
		return a.sendLegacy(ctx, l, opt.bound(c.Timeout))
	}
	o.Context = ctx
	if err := a.compose(o, to, typ, payload, opt); err != nil {
		return nil, a.unsent(o.message.ID, to, typ, err)
	}
	defer o.end(context.Canceled)
	defer a.out.drop(o)
	return a.sendAndAwait(o, opt.bound(c.Timeout))
}

// sending is what a Send needs, in one piece.
type sending struct {
	outgoing
	options options
}

func (a *Coordinator) sendAndAwait(o *outgoing, within time.Duration) (*Ack, error) {
	c, s := a.client, o.signal
	ack, err := a.untilAck(o, within)
	if ack == nil {
		return nil, a.failed(s.ID, s.Receiver, s.Type, o.noAck(err))
	}
	to, latency := s.Receiver, c.Clock.Now().Sub(s.Time)
	if c.watched() {
		c.emit(SignalAcknowledged{s.ID, a.id, to, s.Type, latency, ack.Rejected})
	}
	result := &Ack{SignalID: ack.SignalID, From: ack.Receiver, Result: ack.Result, Latency: latency}
	if ack.Rejected {
		return result, fmt.Errorf("%s: %w: %s", to, ErrRejected, ack.Reason)
	}
	return result, nil
}

// Post puts a signal into the receiver's mailbox and returns its id once it is certain to be there: it will be handed
// over when the receiver runs. The payload is not kept. After ErrUnavailable or the end of ctx, whose error and cause are
// in the chain, the outcome is unknown. Other errors as for Send.
func (a *Coordinator) Post(ctx context.Context, to, typ string, payload []byte, opts ...Option) (id string, err error) {
	opt := optionsOf(opts)
	if opt.legacy || a.client.EmitLegacy {
		l, err := a.composeLegacy(to, typ, payload)
		if err != nil {
			return "", a.unsent("legacy", to, typ, err)
		}
		return a.postLegacy(ctx, l)
	}
	o := &outgoing{}
	if err := a.compose(o, to, typ, payload, &opt); err != nil {
		return "", a.unsent(o.message.ID, to, typ, err)
	}
	if err := a.postNow(ctx, o); err != nil {
		a.out.drop(o)
		return "", a.failed(o.signal.ID, to, typ, fmt.Errorf("%s to %s: %w", typ, to, unconfirmed(ctx, err)))
	}
	a.client.poller.start()
	return o.signal.ID, nil
}

// PostAll is Post to many receivers at once. ids are in the order of to, empty where a Post failed; the error joins
// what failed.
func (a *Coordinator) PostAll(ctx context.Context, to []string, typ string, payload []byte, opts ...Option) (ids []string, err error) {
	ids, errs := make([]string, len(to)), make([]error, len(to))
	inParallel(len(to), func(i int) { ids[i], errs[i] = a.Post(ctx, to[i], typ, payload, opts...) })
	return ids, errors.Join(errs...)
}

func (a *Coordinator) compose(o *outgoing, to, typ string, payload []byte, opt *options) error {
	err := errors.Join(checkID("receiver", to), checkID("type", typ))
	if err == nil {
		err = a.alive()
	}
	if err != nil {
		return err
	}
	o.message = envelope.Signal{
		ID: newID(), Sender: a.id, Receiver: to, Type: typ, Payload: slices.Clone(payload),
		Incarnation: a.me.Incarnation, Session: a.me.Session, ReplyTo: opt.replyTo, Trace: opt.trace,
	}
	return a.out.compose(o)
}

func (a *Coordinator) failed(id, to, typ string, err error) error {
	a.client.emit(SignalFailed{id, a.id, to, typ, err})
	return err
}

// unsent tells of a signal that was not even tried, unless it was refused for what it is.
func (a *Coordinator) unsent(id, to, typ string, err error) error {
	if errors.Is(err, ErrMailboxFull) || errors.Is(err, ErrFenced) || errors.Is(err, ErrClosed) {
		return a.failed(id, to, typ, err)
	}
	return err
}

// unconfirmed says of the error of a write whether ctx ended, or else that the store is to blame, unless it refused.
func unconfirmed(ctx context.Context, err error) error {
	switch {
	case store.Permanent(err):
		return err
	case ctx.Err() == nil && !errors.Is(err, ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, end := range []error{ctx.Err(), context.Cause(ctx)} {
		if end != nil && !errors.Is(err, end) {
			err = fmt.Errorf("%w: %w", end, err)
		}
	}
	return err
}

// postNow appends o to the receiver's mailbox.
func (a *Coordinator) postNow(ctx context.Context, o *outgoing) error {
	c, s := a.client, o.signal
	post := c.post(c.store)
	sealed, attempt := a.out.attempt(o)
	if err := post.AppendTo(ctx, o.to, sealed); err != nil {
		return err
	}
	o.posted.Store(true)
	if c.watched() {
		c.emit(SignalPosted{s.ID, s.Sender, s.Receiver, s.Type, attempt})
	}
	return nil
}

// noAck says that o was not acknowledged, and whether the store is to blame.
func (o *outgoing) noAck(cause error) error {
	err := fmt.Errorf("%s to %s: %w: %w", o.signal.Type, o.signal.Receiver, ErrNoAck, cause)
	if o.failing && !o.posted.Load() && !store.Permanent(cause) {
		err = fmt.Errorf("%w: %w: the store never confirmed the signal", err, ErrUnavailable)
	}
	return err
}

// bounded ends with ctx, with this incarnation, or with ErrTimeout after d by the client's clock.
func (a *Coordinator) bounded(ctx context.Context, d time.Duration) (bounded context.Context, stop func()) {
	bounded, end := context.WithCancelCause(ctx)
	if d <= 0 {
		end(ErrTimeout)
	}
	stopTimer := a.client.Clock.AfterFunc(d, func() { end(ErrTimeout) })
	stopLife := context.AfterFunc(a.life, func() { end(context.Cause(a.life)) })
	return bounded, func() {
		stopTimer()
		stopLife()
		end(nil)
	}
}

// untilAck posts o, and again after 1, 2, 4, 8 … 30 s, until its ACK comes. Before it gives up it looks once more.
func (a *Coordinator) untilAck(o *outgoing, within time.Duration) (*envelope.Ack, error) {
	if within <= 0 {
		o.end(ErrTimeout)
	}
	began := o.signal.Time
	a.out.await(o, began.Add(within), began.Add(time.Second), began)
	for pause := time.Second; ; pause = min(2*pause, slowest) {
		trouble := a.postNow(o, o)
		if store.Permanent(trouble) {
			return nil, trouble
		}
		o.failing = o.failing || trouble != nil && o.Err() == nil
		a.client.poller.start()
		if ack := a.awaitAck(o, pause); ack != nil {
			return ack, nil
		}
		if err := o.Err(); err != nil {
			return a.lastLook(o), err
		}
	}
}

// awaitAck blocks until the ACK is there, o's span ends, or pause is over.
func (a *Coordinator) awaitAck(o *outgoing, pause time.Duration) *envelope.Ack {
	if ack := o.ack.Load(); ack != nil {
		return ack
	}
	now := a.client.Clock.Now()
	again := now.Add(pause)
	a.out.await(o, o.until, again, now)
	for ; o.Err() == nil && now.Before(again); now = a.client.Clock.Now() {
		select {
		case <-o.news:
			if ack := o.ack.Load(); ack != nil {
				return ack
			}
		case <-o.Context.Done():
		}
	}
	return nil
}

// lastLook: an ACK that stands at the timeout counts; and so does a store that does not answer.
func (a *Coordinator) lastLook(o *outgoing) *envelope.Ack {
	c := a.client
	value, err := c.once.Get(a.life, c.space.Ack(a.id, o.signal.ID))
	switch {
	case err == nil:
		a.out.answered(o, value)
	case !store.Permanent(err) && a.life.Err() == nil:
		o.failing = true
	}
	return o.ack.Load()
}
