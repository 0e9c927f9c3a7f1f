// Package ticketlog is the structure under mailboxes, the registry and the intent lists: a log with many writers that
// loses nothing, on the five operations of a store.
//
//	Append: n := Incr(tail); SetEX(entry n)
//	        if Get(skip n) is set, or more than half the skip TTL has passed: start over, same content
//	Read:   t := Get(tail)
//	        every open hole and every new entry <= t, ascending: Get; take it, or note a hole
//	        a hole older than the grace: SetEX(skip i), confirmed; Get(entry i) again; take it or close it
//
// The writer writes its entry and then reads the flag; the reader writes the flag and then reads the entry: one of the
// two sees the other. Each of these four steps is needed. A hole holds nobody up: later entries are taken meanwhile.
//
// Nothing here starts a goroutine, takes a lock or reads a clock but the one it is given.
package ticketlog

import (
	"context"
	"errors"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

// Times are the durations of a log. Every writer and reader of a log must use the same.
type Times struct {
	Entry time.Duration // how long an entry lives
	Tail  time.Duration // how long the counter outlives the last append
	Skip  time.Duration // how long the flag on a closed hole lives; a writer has half of it
	Grace time.Duration // how long a reader leaves a hole open
}

// DefaultTimes suit signals: entries live a day, counters thirty.
var DefaultTimes = Times{Entry: 24 * time.Hour, Tail: 30 * 24 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second}

// Log is one log in one store.
type Log struct {
	Store store.Store
	Keys  keys.Log
	Times Times
	Now   func() time.Time
}

// Append adds value and returns its ticket once it is certain that every reader takes it. A hint with the ticket and
// the value goes to channel, unless that is empty. After any error the outcome is unknown: the caller may append the
// same value again, and readers must know a double by its content.
func (l *Log) Append(ctx context.Context, value []byte, channel string) (int64, error) {
	n, err := l.appendAtOnce(ctx, value, channel)
	for errors.Is(err, errors.ErrUnsupported) || errors.Is(err, errSkipped) {
		n, err = l.appendInSteps(ctx, value, channel)
	}
	return n, err
}

// appendAtOnce takes the ticket and writes the entry in one atomic step, so that no reader ever sees a hole.
func (l *Log) appendAtOnce(ctx context.Context, value []byte, channel string) (int64, error) {
	a := store.CapabilitiesOf(l.Store).Append
	if a == nil {
		return 0, errors.ErrUnsupported
	}
	return a.Append(ctx, store.Append{
		Tail: l.Keys.Tail, TailTTL: l.Times.Tail,
		Entry: l.Keys.EntryPrefix(), Value: value, TTL: l.Times.Entry,
		Channel: channel,
	})
}

// errSkipped: a reader closed the hole, or may have; the ticket is void.
var errSkipped = errors.New("ticketlog: the ticket was skipped")

func (l *Log) appendInSteps(ctx context.Context, value []byte, channel string) (int64, error) {
	start := l.Now()
	took := store.Batch(ctx, l.Store, []store.Op{
		store.IncrOp(l.Keys.Tail),
		store.ExpireOp(l.Keys.Tail, l.Times.Tail),
	})
	if err := took[0].Err; err != nil {
		return 0, err
	}
	n := took[0].N
	wrote := store.Batch(ctx, l.Store, []store.Op{
		store.SetEXOp(l.Keys.Entry(n), value, l.Times.Entry),
		store.GetOp(l.Keys.Skip(n)),
	})
	if wrote[0].Err != nil {
		return 0, wrote[0].Err
	}
	if err := l.skipped(wrote[1].Err, start); err != nil {
		return 0, err
	}
	l.publish(ctx, channel, n, value)
	return n, nil
}

// skipped judges the answer to Get(skip n): absent is good, but only while the flag could not have expired.
func (l *Log) skipped(err error, start time.Time) error {
	switch {
	case err == nil:
		return errSkipped
	case !errors.Is(err, store.ErrNotFound):
		return err
	case l.Now().Sub(start) > l.Times.Skip/2:
		return errSkipped
	}
	return nil
}

func (l *Log) publish(ctx context.Context, channel string, n int64, value []byte) {
	hints := store.CapabilitiesOf(l.Store).Hints
	if hints == nil || channel == "" {
		return
	}
	_ = hints.Publish(ctx, channel, store.AppendHint(n, value)) // a lost hint is not an error
}
