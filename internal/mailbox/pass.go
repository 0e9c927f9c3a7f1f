package mailbox

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// Join positions the box: at its cursor, where that is of this generation of the store's data, else at the beginning.
func (b *Box) Join(ctx context.Context, generation string) error {
	b.reader = ticketlog.Reader{Log: b.log(b.Self)}
	b.generation = generation
	data, err := b.Store.Get(ctx, b.Space.Cursor(b.Self))
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrWrongType) {
		return err
	}
	if err == nil {
		c, bad := envelope.OpenCursor(b.Ring, b.Self, data)
		if bad == nil && c.Generation == generation {
			b.reader.StartAt(c.Ticket)
			return nil
		}
		if bad != nil {
			b.refuse(bad)
		}
	}
	return b.reader.Recover(ctx)
}

// Recover has everything read again, because the store may have lost something. What was handed over stays so.
func (b *Box) Recover(generation string) {
	b.generation, b.dirty, b.unread = generation, true, nil
	b.disown()
	b.reader.Recheck()
}

// disown: the tickets that are known of signals may be given out a second time, so nothing is deleted by them. What
// still stands there is found again, as a double that asks for its ACK: the store may have lost that too.
func (b *Box) disown() {
	b.done = nil
	for _, d := range slices.Concat(b.inbox, b.pending) {
		d.tickets, d.hinted = nil, false
	}
	for _, d := range b.known {
		d.hinted = false
	}
}

// TailKey is the key whose value tells whether there is something to read: see Idle.
func (b *Box) TailKey() string { return b.reader.TailKey() }

// Idle reports whether a tail that reads as value (nil where it is absent) has nothing new.
func (b *Box) Idle(value []byte) bool {
	if value == nil {
		return b.reader.Idle(0)
	}
	tail, err := ticketlog.ParseTail(value, b.TailKey())
	return err == nil && b.reader.Idle(tail)
}

// Read takes in what has come. On an error it has taken in what it could; nothing is lost. ticketlog.ErrRegressed asks
// for Recover, ErrSuperseded is final.
func (b *Box) Read(ctx context.Context) error {
	b.pass++
	entries, err := b.reader.Read(ctx)
	return b.admitAll(ctx, entries, err)
}

func (b *Box) admitAll(ctx context.Context, entries []ticketlog.Entry, err error) error {
	for _, e := range entries {
		b.admit(e.Ticket, e.Value)
	}
	if doubt := b.heed(ctx); doubt != nil {
		return doubt
	}
	return err
}

// heed asks the counter whether there is a later incarnation, where a signal speaks of one. Its word alone is not
// enough: after a store loss the numbers begin again, and old ones are still in the senders' minds. Until the answer
// nothing is handed over.
func (b *Box) heed(ctx context.Context) error {
	if b.rumour > b.Me.Incarnation && !b.superseded {
		raw, err := b.Store.Get(ctx, b.Space.Incarnation(b.Self))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, _ := strconv.ParseInt(string(raw), 10, 64) // 0 where there is none
		b.rumour, b.superseded = 0, n > b.Me.Incarnation
	}
	if b.superseded {
		return ErrSuperseded
	}
	return nil
}

// Ask finds out which of the signals that match accepts, and that an earlier incarnation may have acknowledged, are
// acknowledged: those are consumed. The others may be taken until the next Read or Rest.
func (b *Box) Ask(ctx context.Context, match func(*envelope.Signal) bool) error {
	var doubtful []*Delivery
	var signals []*envelope.Signal
	for _, d := range b.inbox {
		if d.ask && d.asked != b.pass && len(doubtful) < askAtOnce && match(d.Signal) {
			doubtful = append(doubtful, d)
			signals = append(signals, d.Signal)
		}
	}
	acks, err := b.Acks(ctx, signals, b.refuse)
	for i, d := range doubtful {
		switch {
		case err != nil:
		case acks[i] != nil:
			b.drop(d, acks[i])
		default:
			b.clear(d)
		}
	}
	return err
}

// clear: no ACK of d stands. That is no answer where d is so old that its ACK may have expired meanwhile.
func (b *Box) clear(d *Delivery) {
	d.asked = b.pass
	if err := b.checkTime(d.Signal); err != nil {
		b.refuse(err)
		b.inbox = slices.DeleteFunc(b.inbox, func(o *Delivery) bool { return o == d })
		b.consume(d.tickets...)
	}
}

// Rest ends a pass: what Ask found out is too old to hand anything over by.
func (b *Box) Rest() { b.pass++ }

// drop: somebody before me handed d over and its ACK stands (S2). It is kept, in case the store loses it.
func (b *Box) drop(d *Delivery, ack *envelope.Ack) {
	if sealed, err := envelope.AppendAck(nil, b.Ring, ack); err == nil {
		d.sealed = sealed
	}
	b.inbox = slices.DeleteFunc(b.inbox, func(o *Delivery) bool { return o == d })
	b.remember(d)
	b.settled(d)
}

// Answer makes the ACK of d: what AckOps then writes.
func (b *Box) Answer(d *Delivery, result []byte, rejected bool, reason string) error {
	s := d.Signal
	if d.Legacy {
		sealed, err := envelope.AppendLegacyAck(nil, s.Sender, b.Now())
		d.sealed = sealed
		return err
	}
	hint := make([]byte, 0, ackRoom+2*len(s.ID)+len(s.Sender)+len(b.Self)+2*len(result))
	hint = append(append(append(hint, 'a'), s.ID...), ' ')
	hint, err := envelope.AppendAck(hint, b.Ring, &envelope.Ack{
		SignalID: s.ID, Digest: envelope.Digest(s), Sender: s.Sender, Receiver: b.Self,
		Incarnation: b.Me.Incarnation, Session: b.Me.Session, Time: b.Now(),
		Rejected: rejected, Reason: reason, Result: result,
	})
	if err == nil {
		d.hint, d.sealed = hint, hint[2+len(s.ID):]
	}
	return err
}

const ackRoom = 400 // what an ACK needs beside names and its result, and what AppendAck wants to be free

// AckOps appends the operations that write d's ACK and hint it to the sender. S4: the ACK follows the hand-off, so
// they are called for a delivery only.
func (b *Box) AckOps(ops []store.Op, d *Delivery) []store.Op {
	return AckOps(ops, &b.Post, d)
}

// AckOps is Box.AckOps for a caller that does not own the box. It appends two operations; the ACK stands once both are
// confirmed.
func AckOps(ops []store.Op, p *Post, d *Delivery) []store.Op {
	s := d.Signal
	if d.Legacy {
		return legacyAckOps(ops, p, d)
	}
	return append(ops,
		store.SetEXOp(p.Space.Ack(s.Sender, s.ID), d.sealed, p.Times.Ack+2*p.Times.MaxAhead), // it outlives its signal
		store.PublishOp(p.Space.Channel(s.Sender), d.hint))
}

// Confirm: d's ACK was written and the store confirmed it.
func (b *Box) Confirm(d *Delivery) { b.settled(d) }

// Again returns, once, the deliveries whose ACK has to be written again.
func (b *Box) Again() []*Delivery {
	again := b.again
	b.again = nil
	return again
}

// Owed is how much work Flush has.
func (b *Box) Owed() int { return len(b.done) + b.reader.Hinted() }

// Flush reads the entries that were taken on a hint's word, deletes what is consumed and moves the cursor. It may come
// late or never: a lagging cursor costs a successor some reading, no more.
func (b *Box) Flush(ctx context.Context) error {
	for b.reader.Hinted() > 0 {
		entries, err := b.reader.Verify(ctx)
		if err := b.admitAll(ctx, entries, err); err != nil {
			return err
		}
	}
	if !b.dirty {
		return nil
	}
	cursor, err := envelope.AppendCursor(nil, b.Ring, &envelope.Cursor{
		Receiver: b.Self, Ticket: b.lowest(), Generation: b.generation,
	})
	if err != nil {
		return err
	}
	return b.write(ctx, cursor)
}

func (b *Box) write(ctx context.Context, cursor []byte) error {
	ops := []store.Op{
		store.SetEXOp(b.Space.Cursor(b.Self), cursor, b.Times.Cursor),
		store.ExpireOp(b.TailKey(), b.Times.Log.Tail),
	}
	log := b.Space.Mailbox(b.Self)
	for _, n := range b.done {
		ops = append(ops, store.ExpireOp(log.Entry(n), 0))
	}
	if err := store.FirstError(store.Batch(ctx, b.Store, ops)); err != nil {
		return err
	}
	b.done, b.dirty = nil, false
	return nil
}

// lowest is the lowest ticket that is not consumed: unread, or not handed over, or not acknowledged. A
// signal that came by a hint has no ticket but the reader's until its entry is read.
func (b *Box) lowest() int64 {
	lowest := b.reader.Lowest()
	for _, d := range slices.Concat(b.inbox, b.pending) {
		for _, t := range d.tickets {
			lowest = min(lowest, t)
		}
	}
	return lowest
}
