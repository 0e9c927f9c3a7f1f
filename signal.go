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
// ErrInvalidID. It outlasts an outage of the store: if that never answered, the error is ErrUnavailable as well.
func (a *Coordinator) Send(ctx context.Context, to, typ string, payload []byte, opts ...Option) (*Ack, error) {
	c, opt := a.client, optionsOf(opts)
	if opt.legacy || c.EmitLegacy {
		l, err := a.composeLegacy(to, typ, payload)
		if err != nil {
			return nil, err
		}
		return a.sendLegacy(ctx, l, opt.bound(c.Timeout))
	}
	o, err := a.compose(to, typ, payload, true, opt)
	if err != nil {
		return nil, err
	}
	defer a.out.drop(o)
	return a.sendAndAwait(ctx, o, opt.bound(c.Timeout))
}

func (a *Coordinator) sendAndAwait(ctx context.Context, o *outgoing, within time.Duration) (*Ack, error) {
	c, to, typ := a.client, o.signal.Receiver, o.signal.Type
	began := c.Clock.Now()
	ctx, stop := a.bounded(ctx, within)
	defer stop()
	ack, err := a.untilAck(ctx, o)
	if ack == nil {
		return nil, a.failed(o, o.noAck(err))
	}
	latency := c.Clock.Now().Sub(began)
	c.emit(SignalAcknowledged{o.signal.ID, a.id, to, typ, latency, ack.Rejected})
	result := &Ack{SignalID: ack.SignalID, From: ack.Receiver, Result: ack.Result, Latency: latency}
	if ack.Rejected {
		return result, fmt.Errorf("%s: %w: %s", to, ErrRejected, ack.Reason)
	}
	return result, nil
}

// Post puts a signal into the receiver's mailbox and returns its id once it is certain to be there: it will be handed
// over when the receiver runs. The payload is not kept. After ErrUnavailable or the end of ctx the outcome is unknown.
// Other errors as for Send.
func (a *Coordinator) Post(ctx context.Context, to, typ string, payload []byte, opts ...Option) (id string, err error) {
	opt := optionsOf(opts)
	if opt.legacy || a.client.EmitLegacy {
		l, err := a.composeLegacy(to, typ, payload)
		if err != nil {
			return "", err
		}
		return a.postLegacy(ctx, l)
	}
	o, err := a.compose(to, typ, payload, false, opt)
	if err != nil {
		return "", err
	}
	if err := a.postNow(ctx, o); err != nil {
		a.out.drop(o)
		return "", a.failed(o, fmt.Errorf("%s to %s: %w", typ, to, err))
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

func (a *Coordinator) compose(to, typ string, payload []byte, awaited bool, opt options) (*outgoing, error) {
	err := errors.Join(checkID("receiver", to), checkID("type", typ))
	if err == nil {
		err = a.alive()
	}
	if err != nil {
		return nil, err
	}
	return a.out.compose(envelope.Signal{
		ID: newID(), Sender: a.id, Receiver: to, Type: typ, Payload: slices.Clone(payload),
		Incarnation: a.me.Incarnation, Session: a.me.Session, ReplyTo: opt.replyTo, Trace: opt.trace,
	}, awaited)
}

func (a *Coordinator) failed(o *outgoing, err error) error {
	s := o.signal
	a.client.emit(SignalFailed{s.ID, s.Sender, s.Receiver, s.Type, err})
	return err
}

// postNow appends o to the receiver's mailbox.
func (a *Coordinator) postNow(ctx context.Context, o *outgoing) error {
	c, s := a.client, o.signal
	post := c.post(c.store)
	sealed, attempt := a.out.attempt(o)
	if err := post.Append(ctx, s.Receiver, sealed); err != nil {
		return err
	}
	o.answered.Store(true)
	c.emit(SignalPosted{s.ID, s.Sender, s.Receiver, s.Type, attempt})
	return nil
}

// noAck says that o was not acknowledged, and whether the store is to blame.
func (o *outgoing) noAck(cause error) error {
	err := fmt.Errorf("%s to %s: %w: %w", o.signal.Type, o.signal.Receiver, ErrNoAck, cause)
	if !o.answered.Load() && !store.Permanent(cause) && !errors.Is(cause, ErrUnavailable) {
		err = fmt.Errorf("%w: %w: the store never answered", err, ErrUnavailable)
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
func (a *Coordinator) untilAck(ctx context.Context, o *outgoing) (*envelope.Ack, error) {
	for pause := time.Second; ; pause = min(2*pause, slowest) {
		trouble := a.postNow(ctx, o)
		if store.Permanent(trouble) {
			return nil, trouble
		}
		a.client.poller.start()
		if ack := a.awaitAck(ctx, o, pause); ack != nil {
			return ack, nil
		}
		if ctx.Err() != nil {
			return a.lastLook(o), context.Cause(ctx)
		}
	}
}

// awaitAck blocks until the ACK is there, ctx ends, or pause is over.
func (a *Coordinator) awaitAck(ctx context.Context, o *outgoing, pause time.Duration) *envelope.Ack {
	again := make(chan struct{})
	stop := a.client.Clock.AfterFunc(pause, func() { close(again) })
	defer stop()
	select {
	case ack := <-o.ack:
		return ack
	case <-again:
	case <-ctx.Done():
	}
	return nil
}

// lastLook: an ACK that stands at the timeout counts.
func (a *Coordinator) lastLook(o *outgoing) *envelope.Ack {
	c := a.client
	value, err := c.once.Get(a.life, c.space.Ack(a.id, o.signal.ID))
	if err == nil {
		a.out.answered(o, value)
	}
	if err == nil || errors.Is(err, store.ErrNotFound) {
		o.answered.Store(true)
	}
	select {
	case ack := <-o.ack:
		return ack
	default:
		return nil
	}
}
