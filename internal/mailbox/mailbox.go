// Package mailbox posts signals and passes them on: the protocol between a sender and a receiver, as plain synchronous
// steps over a store. A mailbox is a ticket log of signals; a signal is handed over once per incarnation of its
// receiver, acknowledged after that, and only then consumed.
//
//	Post:  append the signal; on an unknown outcome append it again, the same
//	Pass:  Read what came; Take what is fresh, in order; write its ACK; Flush the cursor and the deletions later
//
// Nothing here starts a goroutine, takes a lock, or reads a clock or randomness but what it is given. A Box has one
// owner at a time.
package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// Times are the durations of the protocol. All members of a namespace use the same.
type Times struct {
	Log      ticketlog.Times
	Ack      time.Duration // how long an ACK lives, and the age at which a signal is too old
	Cursor   time.Duration // how long a cursor outlives its last write
	MaxAhead time.Duration // how far a sender's clock may be ahead of the receiver's
}

// DefaultTimes are those of docs/protocol.md. Clocks that are each within five minutes of the truth are ten apart.
var DefaultTimes = Times{
	Log: ticketlog.DefaultTimes,
	Ack: 24 * time.Hour, Cursor: 30 * 24 * time.Hour, MaxAhead: 11 * time.Minute,
}

const legacyAckTTL = time.Hour

// Post is where signals and their ACKs go.
type Post struct {
	Store store.Store
	Space keys.Space
	Ring  *envelope.Ring
	Times Times
	Now   func() time.Time
}

func (p *Post) log(receiver string) ticketlog.Log {
	return ticketlog.Log{Store: p.Store, Keys: p.Space.Mailbox(receiver), Times: p.Times.Log, Now: p.Now}
}

// Address is where a receiver's signals go: names that are built once for many of them.
type Address struct {
	log     keys.Log
	channel string
}

// Address returns that of receiver.
func (p *Post) Address(receiver string) Address {
	return Address{log: p.Space.Mailbox(receiver), channel: p.Space.Channel(receiver)}
}

// Append puts a sealed signal into receiver's mailbox. After an error the outcome is unknown: append the same bytes
// again, the receiver drops the double (S1).
func (p *Post) Append(ctx context.Context, receiver string, sealed []byte) error {
	return p.AppendTo(ctx, p.Address(receiver), sealed)
}

// AppendTo is Append for an address that is known.
func (p *Post) AppendTo(ctx context.Context, to Address, sealed []byte) error {
	log := ticketlog.Log{Store: p.Store, Keys: to.log, Times: p.Times.Log, Now: p.Now}
	_, err := log.Append(ctx, sealed, to.channel)
	return err
}

// Acks reads which of signals are acknowledged: a nil where one is not. What stands there and is no true ACK of that
// very signal counts as absent (S5); refused, if not nil, is told of it.
func (p *Post) Acks(ctx context.Context, signals []*envelope.Signal, refused func(error)) ([]*envelope.Ack, error) {
	ops := make([]store.Op, len(signals))
	for i, s := range signals {
		ops[i] = store.GetOp(p.Space.Ack(s.Sender, s.ID))
	}
	acks := make([]*envelope.Ack, len(signals))
	for i, got := range store.Batch(ctx, p.Store, ops) {
		switch {
		case errors.Is(got.Err, store.ErrNotFound):
		case got.Err != nil && !errors.Is(got.Err, store.ErrWrongType): // that is no ACK either
			return acks, got.Err
		default:
			acks[i] = p.OpenAck(signals[i], got.Value, refused)
		}
	}
	return acks, nil
}

// OpenAck returns the ACK in data where it is a true one of s, else nil.
func (p *Post) OpenAck(s *envelope.Signal, data []byte, refused func(error)) *envelope.Ack {
	ack, err := envelope.OpenAck(p.Ring, s.Sender, s.ID, data)
	if err == nil && !ack.Answers(s) {
		err = envelope.ErrMisrouted
	}
	if err == nil {
		return ack
	}
	if refused != nil {
		refused(err)
	}
	return nil
}

// AckHint is the payload of the hint that carries an ACK to its signal's sender: the letter a, the signal's id, a
// space, the sealed ACK. A hint that begins with a digit is a ticket with its signal (store.AppendHint).
func AckHint(signalID string, sealed []byte) []byte {
	b := make([]byte, 0, 2+len(signalID)+len(sealed))
	b = append(b, 'a')
	b = append(b, signalID...)
	b = append(b, ' ')
	return append(b, sealed...)
}

// Delivery is a signal that was handed over.
type Delivery struct {
	Signal *envelope.Signal
	Ticket int64 // the ticket it was ordered by; 0 for a legacy signal
	Legacy bool  // it came in the legacy slot

	sealed  []byte  // the ACK, once there is one
	hint    []byte  // the same, with what AckHint puts before it
	acked   bool    // the ACK is confirmed
	tickets []int64 // where entries with this signal were read
	hinted  bool    // it came by a hint and no entry of it has been read yet
	ask     bool    // an earlier incarnation may have acknowledged it
	asked   int     // the pass in which the ACK was found absent
}

// Trim drops the payload of a delivery that is confirmed: only its name and its place in the session are still asked
// for.
func (d *Delivery) Trim() {
	if len(d.Signal.Payload) == 0 {
		return
	}
	s := *d.Signal
	s.Payload = nil
	d.Signal = &s
}
