package coord

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

const (
	counterTTL = 30 * 24 * time.Hour // of what must outlive everything else
	numberTTL  = 70 * 24 * time.Hour // of an incarnation counter, which outlives every death of its numbers by a week (D5)
	keepAlive  = 6 * time.Hour       // how often it is refreshed
)

// Coordinator is one incarnation of one id: what may send, wait and serve under that name.
type Coordinator struct {
	client *Client
	id     string
	me     envelope.Instance
	guest  bool // sends only

	life context.Context // ends with the reason why this incarnation may not act any more
	end_ context.CancelCauseFunc
	over atomic.Bool // ended, by whomever

	leaving atomic.Bool // its end is being decided by itself: it beats no more

	turns     turns
	out       outbox
	pulse     pulse
	work      tasks
	rounds    blockedRounds
	ticket    atomic.Int64 // of the last registration
	scattered atomic.Bool  // there may be others
	subscribe func()       // cancels the subscription
}

// Join makes a new incarnation of id in this process: it is registered and has beaten before Join returns. Signals that
// were posted before wait in its mailbox. An earlier incarnation of id, here or elsewhere, is superseded. Errors:
// ErrInvalidID, ErrClosed, ErrUnavailable, or why ctx ended.
func (c *Client) Join(ctx context.Context, id string) (*Coordinator, error) {
	if err := checkID("id", id); err != nil {
		return nil, err
	}
	ctx, done := during(ctx, c.life)
	defer done()
	generation, err := c.ensureGeneration(ctx)
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", id, err)
	}
	a, err := c.incarnate(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", id, err)
	}
	if err := a.begin(ctx, generation); err != nil {
		a.end(err)
		return nil, fmt.Errorf("join %s: %w", id, err)
	}
	return a, nil
}

// incarnate takes the next incarnation number. An unknown outcome burns one.
func (c *Client) incarnate(ctx context.Context, id string) (*Coordinator, error) {
	counter := c.space.Incarnation(id)
	results := store.Batch(ctx, c.store, []store.Op{store.IncrOp(counter), store.ExpireOp(counter, numberTTL)})
	if err := store.FirstError(results); err != nil {
		return nil, err
	}
	return c.coordinator(id, envelope.Instance{Incarnation: results[0].N, Session: newID()}), nil
}

func (c *Client) coordinator(id string, me envelope.Instance) *Coordinator {
	a := &Coordinator{client: c, id: id, me: me}
	a.life, a.end_ = context.WithCancelCause(context.Background())
	a.turns.init(a)
	a.out.init(a)
	a.work.init(a)
	return a
}

// begin registers, beats, and only then opens the mailbox.
func (a *Coordinator) begin(ctx context.Context, generation string) error {
	c := a.client
	if err := a.register(ctx); err != nil {
		return err
	}
	if err := a.firstBeat(ctx); err != nil {
		return err
	}
	if err := c.desk.Supersede(ctx, a.owner()); err != nil { // or we would hide what an earlier incarnation owned
		return err
	}
	if err := a.turns.box.Join(ctx, generation); err != nil {
		return err
	}
	c.emit(Joined{a.id, a.me.Incarnation}) // before anything else may end it
	if c.hints != nil {
		a.subscribe = c.hints.Subscribe(c.space.Channel(a.id), a.hint)
	}
	if err := c.add(a); err != nil { // from here on, Close may end it
		a.close(err)
		return err
	}
	c.beater.start()
	return nil
}

// register puts this incarnation on the list that outlives heartbeats.
func (a *Coordinator) register(ctx context.Context) error {
	c := a.client
	entry, err := envelope.AppendMember(nil, c.ring, &envelope.Member{
		ID: a.id, Incarnation: a.me.Incarnation, Session: a.me.Session,
	})
	if err != nil {
		return err
	}
	members := ticketlog.Log{Store: c.once, Keys: c.space.Members(), Times: c.times.Log, Now: c.Clock.Now}
	members.Times.Entry = counterTTL
	before, began := a.ticket.Load(), c.Clock.Now()
	ticket, err := members.Append(ctx, entry, "")
	if once := err == nil && before == 0 && c.Clock.Now().Sub(began) < members.Times.Grace; !once {
		a.scattered.Store(true)
	}
	if err != nil { // it may stand there all the same
		members.Store = c.store
		ticket, err = members.Append(ctx, entry, "")
	}
	if err == nil {
		a.ticket.Store(ticket)
	}
	return err
}

// ID is the name that it joined under.
func (a *Coordinator) ID() string { return a.id }

// Incarnation counts the joins of its id: 1, 2, 3, ...
func (a *Coordinator) Incarnation() int64 { return a.me.Incarnation }

// Context ends when this incarnation may not act any more; its cause is ErrClosed or ErrFenced.
func (a *Coordinator) Context() context.Context { return a.life }

// Leave waits for the handler calls under way, whose context ends, writes the acknowledgements that are owed, hands over
// at once what work it owns, takes the heartbeat away and ends this incarnation. Waits return ErrClosed. It is safe to
// call more than once. An error says what could not be written before ctx ended; the coordinator has left all the same.
func (a *Coordinator) Leave(ctx context.Context) error {
	if a.guest {
		a.end(ErrClosed)
	}
	if a.life.Err() != nil {
		return nil
	}
	err := a.settle(ctx)
	if e := a.bequeath(ctx); err == nil {
		err = e
	}
	if !a.end(ErrClosed) {
		return nil // somebody was faster
	}
	if e := a.beatNoMore(ctx); err == nil {
		err = e
	}
	a.client.emit(Left{a.id, a.me.Incarnation})
	if err != nil {
		return fmt.Errorf("leave %s: %w", a.id, err)
	}
	return nil
}

// beatNoMore takes the heartbeat away, unless it is that of a later incarnation.
func (a *Coordinator) beatNoMore(ctx context.Context) error {
	c, key := a.client, a.client.space.Heartbeat(a.id)
	value, err := c.once.Get(ctx, key)
	if err == nil {
		beat, bad := envelope.OpenHeartbeat(c.ring, a.id, value)
		if bad == nil && beat.Incarnation > a.me.Incarnation {
			return nil
		}
		_, err = c.once.Expire(ctx, key, 0)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// settle hands over nothing more, and writes what is owed for what was. The turn under way may hand over until the first
// flush is done, so only then all acknowledgements are known; the cursor follows them.
func (a *Coordinator) settle(ctx context.Context) error {
	err := a.stopServing(ctx)
	a.turns.abandon(ErrClosed)
	for _, step := range []func(context.Context) error{a.turns.flush, a.client.acks.flush, a.turns.flush} {
		if e := step(ctx); err == nil {
			err = e
		}
	}
	return err
}

// end: this incarnation does nothing any more. False if that was so before.
func (a *Coordinator) end(cause error) bool {
	if a.over.Swap(true) {
		return false
	}
	a.end_(cause)
	a.client.remove(a)
	if a.subscribe != nil {
		a.subscribe()
	}
	a.turns.abandon(cause)
	a.out.abandon(cause)
	return true
}

// close ends it without further ado.
func (a *Coordinator) close(cause error) {
	if a.end(cause) && !a.guest {
		a.client.emit(Left{a.id, a.me.Incarnation})
	}
}

// fence ends it for good: a later incarnation exists, or it was declared dead.
func (a *Coordinator) fence() {
	if a.end(ErrFenced) {
		a.client.emit(Fenced{a.id, a.me.Incarnation})
	}
}

// ready returns why this incarnation takes nothing on, or nil: it has ended, or, if not, it is suspended.
func (a *Coordinator) ready() error { return cmp.Or(a.alive(), a.Suspended()) }

// alive returns why this incarnation may not act, or nil.
func (a *Coordinator) alive() error {
	if a.life.Err() != nil {
		return fmt.Errorf("%s: %w", a.id, context.Cause(a.life))
	}
	return nil
}

// hint is called by the store's dispatch: it must not block.
func (a *Coordinator) hint(payload []byte) {
	if len(payload) > 0 && payload[0] == 'a' {
		a.out.hint(payload)
		return
	}
	if a.guest {
		return
	}
	if string(payload) == workHint {
		a.client.run(func() { a.work.scanIf(func() bool { return true }) })
		return
	}
	a.turns.hint(payload)
}

func (a *Coordinator) refused(err error) {
	a.client.emit(SignalRefused{By: a.id, Reason: string(envelope.ReasonOf(err)), Err: err})
}

// newBox makes the receiving end.
func (a *Coordinator) newBox(path store.Store) *mailbox.Box {
	c := a.client
	return &mailbox.Box{
		Post: c.post(path), Self: a.id, Me: a.me, Refused: a.refused,
		Legacy: mailbox.Legacy{Accept: c.AcceptLegacy, AllowUnsigned: c.AllowUnsigned},
	}
}
