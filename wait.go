package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
)

// Signal is a message that was handed over. It belongs to the caller.
type Signal struct {
	ID      string    // unique, chosen by the sender's side
	From    string    // who sent it
	To      string    // this coordinator
	Type    string    // what it asks for
	Payload []byte    // any bytes; nil where there are none
	SentAt  time.Time // by the sender's clock
	ReplyTo string    // the id of the signal that it answers; optional
	Trace   string    // the sender's trace context; optional
	Round   string    // the round whose question it is; optional
	Legacy  bool      // it came in the legacy format, whose signature covers less
}

func public(d *mailbox.Delivery) *Signal {
	s := d.Signal
	return &Signal{
		ID: s.ID, From: s.Sender, To: s.Receiver, Type: s.Type,
		Payload: slices.Clone(s.Payload), // the caller's, whereas the ACK covers what was sent
		SentAt:  s.Time, ReplyTo: s.ReplyTo, Trace: s.Trace, Round: s.Round, Legacy: d.Legacy,
	}
}

// Option says what a Wait waits for, how long a Wait or Send blocks, or what a signal carries besides its payload.
type Option func(*options)

type options struct {
	types, senders []string
	within         time.Duration
	withinSet      bool
	replyTo, trace string
	claiming       int
	workers        int
	once           bool
	legacy         bool
	round          *roundOptions // nil outside of rounds
}

func optionsOf(opts []Option) options {
	if len(opts) == 0 {
		return options{}
	}
	var o options
	o.apply(opts)
	return o
}

func (o *options) apply(opts []Option) {
	for _, f := range opts {
		f(o)
	}
}

// OfType has Wait or Serve take signals of these types only. Without it, any.
func OfType(types ...string) Option { return func(o *options) { o.types = append(o.types, types...) } }

// From has Wait or Serve take signals from these coordinators only. Without it, from anybody.
func From(ids ...string) Option { return func(o *options) { o.senders = append(o.senders, ids...) } }

// Within bounds a Wait or Send, by Config.Clock. Without it, Config.Timeout does. Zero or less is over at once.
func Within(d time.Duration) Option { return func(o *options) { o.within, o.withinSet = d, true } }

func (o *options) bound(byDefault time.Duration) time.Duration {
	if o.withinSet {
		return max(o.within, 0)
	}
	return byDefault
}

// waiter is one blocked Wait. All but result is guarded by turns.mu.
type waiter struct {
	options
	outcome  outcomeOf
	done     chan struct{} // one, buffered: outcome is there
	timeout  time.Duration
	end      time.Time // when it times out; zero: not by the alarm
	over     bool      // it is timing out
	answered bool      // the store answered while it waited
}

type outcomeOf struct {
	signal *Signal
	err    error
}

// give ends w. W1: whoever took it off the list calls it, so it is called once.
func (w *waiter) give(o outcomeOf) {
	w.outcome = o
	w.done <- struct{}{}
}

func (o *options) matches(s *envelope.Signal) bool {
	return (len(o.types) == 0 || slices.Contains(o.types, s.Type)) &&
		(len(o.senders) == 0 || slices.Contains(o.senders, s.Sender))
}

// waits numbers the waits of this process, for those who observe several Clients.
var waits atomic.Uint64

// Wait blocks until a signal that fits the options is handed over, in the order in which they were sent; what does not
// fit stays in the mailbox for others. It returns exactly one of: the signal; ErrTimeout after Within or Config.Timeout;
// the cause of ctx's end; ErrFenced or ErrClosed. Timeout and cancellation consume nothing. A signal that was visible
// before the timeout is returned. Wait outlasts an outage of the store; a timeout during which the store never answered
// is ErrUnavailable as well. Its acknowledgement is sent by itself.
func (a *Coordinator) Wait(ctx context.Context, opts ...Option) (*Signal, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, w := a.client, newWaiter(opts)
	if w.timeout = w.bound(c.Timeout); !c.watched() {
		return a.wait(ctx, w)
	}
	began, number := c.Clock.Now(), waits.Add(1)
	c.emit(WaitStarted{By: a.id, Wait: number})
	s, err := a.wait(ctx, w)
	c.emit(WaitEnded{By: a.id, Wait: number, Blocked: c.Clock.Now().Sub(began), Err: err})
	return s, err
}

func (a *Coordinator) wait(ctx context.Context, w *waiter) (*Signal, error) {
	if w.timeout > 0 {
		w.end = a.client.Clock.Now().Add(w.timeout)
	}
	a.turns.enlist(w)
	if w.timeout <= 0 {
		a.turns.expire(false, w) // at once: a fake clock may not move any more
	}
	a.client.poller.start()
	r := a.turns.await(ctx, w)
	return r.signal, r.err
}

// TryWait returns what is there now: the first fitting signal of the mailbox, or false. It reads the store once and
// does not wait. False, which consumes nothing, may also mean that ctx ended first, that the store did not answer, or that
// this incarnation has ended.
func (a *Coordinator) TryWait(ctx context.Context, opts ...Option) (*Signal, bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	w := newWaiter(opts)
	a.turns.enlist(w)
	a.turns.expire(false, w)
	r := a.turns.await(ctx, w)
	return r.signal, r.err == nil
}

func newWaiter(opts []Option) *waiter {
	w := &waiter{done: make(chan struct{}, 1)}
	w.apply(opts)
	return w
}

// enlist adds w and sees whether there is something for it.
func (t *turns) enlist(w *waiter) {
	t.mu.Lock()
	if ended := t.ended; ended != nil {
		t.mu.Unlock()
		w.give(outcomeOf{err: fmt.Errorf("%s: %w", t.coordinator.id, ended)})
		return
	}
	t.waiters = append(t.waiters, w)
	t.read = t.read || !t.current
	t.jobs = append(t.jobs, job{do: (*turns).look})
	if !w.end.IsZero() {
		t.alarm.by(w.end, w.end.Add(-w.timeout))
	}
	t.turn(false)
}

// await blocks until w has its outcome. W1: once ctx has ended and w is withdrawn, nothing can be handed to it; if it
// could not be withdrawn, it has its outcome.
func (t *turns) await(ctx context.Context, w *waiter) outcomeOf {
	select {
	case <-w.done:
	case <-ctx.Done():
		if t.withdraw(w) {
			return outcomeOf{err: context.Cause(ctx)}
		}
		<-w.done
	}
	return w.outcome
}

// withdraw takes w off the list; false if it was given its outcome already.
func (t *turns) withdraw(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiters, w)
	if i >= 0 {
		t.waiters = slices.Delete(t.waiters, i, i+1)
	}
	if len(t.waiters) == 0 {
		t.alarm.rest()
	}
	return i >= 0
}

// ring ends those whose time is over.
func (t *turns) ring() {
	if over := t.overdue(t.coordinator.client.Clock.Now()); len(over) > 0 {
		t.expire(true, over...)
	}
}

// overdue sets the alarm for those who are not.
func (t *turns) overdue(now time.Time) (over []*waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alarm.stop()
	for _, w := range t.waiters {
		switch {
		case w.end.IsZero() || w.over:
		case now.Before(w.end):
			t.alarm.by(w.end, now)
		default:
			w.over = true
			over = append(over, w)
		}
	}
	return over
}

// expire ends waits at their timeout. W3: what is visible now is still returned, so the store is read once more: by the
// caller where it may block, but not by one whose context may end meanwhile.
func (t *turns) expire(mayBlock bool, over ...*waiter) {
	c := t.coordinator.client
	if !c.enter() {
		return // Close has ended them
	}
	defer c.background.Done()
	t.pass(func() {
		for _, w := range over {
			if t.withdraw(w) {
				w.give(outcomeOf{err: timedOut(t.coordinator.id, w.timeout, w.answered)})
			}
		}
	}, mayBlock)
}

func timedOut(id string, within time.Duration, answered bool) error {
	err := fmt.Errorf("%s: %w waiting for signal after %v", id, ErrTimeout, within)
	if !answered {
		return errors.Join(err, fmt.Errorf("%w: the store never answered", ErrUnavailable))
	}
	return err
}

// handedOver says so.
func (a *Coordinator) handedOver(d *mailbox.Delivery) {
	if s := d.Signal; a.client.watched() {
		a.client.emit(SignalHandedOver{ID: s.ID, From: s.Sender, To: s.Receiver, Type: s.Type})
	}
}

// acknowledge writes the ACK of d with its result, or the rejection that cause explains.
func (a *Coordinator) acknowledge(d *mailbox.Delivery, result []byte, cause error) {
	box, reason := a.turns.box, ""
	if cause != nil {
		reason = cut(cause.Error())
	}
	if err := box.Answer(d, result, cause != nil, reason); err != nil {
		_ = box.Answer(d, nil, true, cut("the result could not be sent: "+err.Error()))
	}
	a.client.acks.add(a, d)
}

// cut keeps a reason short and valid.
func cut(reason string) string {
	const most = 1000
	return string([]rune(reason)[:min(most, len([]rune(reason)))])
}
