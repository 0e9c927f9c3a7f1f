package store

import (
	"context"
	"strconv"
	"time"
)

// Capabilities are what a store can do beyond the five operations. Each member may be nil. A capability changes speed,
// never meaning: whatever it does is the same steps on the same keys.
type Capabilities struct {
	Batch   Batcher   // several operations in one trip
	Append  Appender  // a ticket and its entry in one trip
	Hints   Hinter    // lossy publish and subscribe
	Late    LateIndex // candidates for silence
	Clock   Clock     // the store's own clock; nil means the system's
	Once    Store     // the same store without retries and without a gate: for beats and monitors
	Notices Notifier  // what a driver or decorator does on the caller's behalf
}

// Capable is implemented by stores that have capabilities.
type Capable interface {
	// Capabilities returns the same members on every call.
	Capabilities() Capabilities
}

// CapabilitiesOf returns what s can do beyond the five operations. A decorator implements Capable itself to pass on,
// guard or hide what it wraps; struct{ Store }{s} hides everything.
func CapabilitiesOf(s Store) Capabilities {
	if c, ok := s.(Capable); ok {
		return c.Capabilities()
	}
	return Capabilities{}
}

// OpKind names an operation of a batch.
type OpKind uint8

// The operations that a batch may hold. Keys is not among them: it is an audit of many trips.
const (
	OpSetEX OpKind = iota + 1
	OpGet
	OpIncr
	OpExpire
	OpPublish // a hint; does nothing where the store has none, and never fails the batch
	OpTouch   // of the late index; does nothing where the store has none
)

// Op is one operation of a batch. Build it with SetEXOp, GetOp, IncrOp, ExpireOp, PublishOp or TouchOp.
type Op struct {
	Kind    OpKind
	Key     string        // for OpPublish the channel, for OpTouch the index
	Value   []byte        // for OpSetEX the value, for OpPublish the payload
	TTL     time.Duration // for OpSetEX, OpExpire and OpTouch
	Members []string      // for OpTouch
}

// SetEXOp is Store.SetEX as part of a batch.
func SetEXOp(key string, value []byte, ttl time.Duration) Op {
	return Op{Kind: OpSetEX, Key: key, Value: value, TTL: ttl}
}

// GetOp is Store.Get as part of a batch.
func GetOp(key string) Op { return Op{Kind: OpGet, Key: key} }

// IncrOp is Store.Incr as part of a batch.
func IncrOp(key string) Op { return Op{Kind: OpIncr, Key: key} }

// ExpireOp is Store.Expire as part of a batch.
func ExpireOp(key string, ttl time.Duration) Op { return Op{Kind: OpExpire, Key: key, TTL: ttl} }

// PublishOp is Hinter.Publish as part of a batch.
func PublishOp(channel string, payload []byte) Op {
	return Op{Kind: OpPublish, Key: channel, Value: payload}
}

// TouchOp is LateIndex.Touch as part of a batch. It may fail with an error that wraps errors.ErrUnsupported: then nothing
// happened, and Touch alone is the way.
func TouchOp(index string, ttl time.Duration, members ...string) Op {
	return Op{Kind: OpTouch, Key: index, TTL: ttl, Members: members}
}

// Result is the outcome of one Op.
type Result struct {
	Value []byte // OpGet; the caller owns it
	N     int64  // OpIncr
	OK    bool   // OpExpire: whether the key was there
	Err   error  // as the operation alone would return it
}

// Batcher does a list of operations in one trip.
type Batcher interface {
	// Batch does ops in order and returns one Result for each, in that order. It is not atomic: other clients'
	// operations may come in between, and after a failure a prefix may be all that happened. An operation that fails
	// with a Permanent error does not stop those behind it. Operations on keys of different hash tags ({...}) may run
	// in parallel. The store keeps no reference to ops or the values in them.
	Batch(ctx context.Context, ops []Op) []Result
}

// Append is one entry for a log: a ticket from a counter, and the entry under that number.
type Append struct {
	Tail    string        // the counter's key
	TailTTL time.Duration // refreshed with every append
	Entry   string        // key prefix; the ticket in decimal is appended to it
	Value   []byte        // the entry
	TTL     time.Duration // of the entry
	Channel string        // where to publish AppendHint(ticket, Value) afterwards; empty: nowhere
}

// Appender appends in one trip.
type Appender interface {
	// Append does Incr(Tail), Expire(Tail, TailTTL), SetEX(Entry+n, Value, TTL) and publishes AppendHint(n, Value) on
	// Channel, and returns n. The first three are one atomic step: nobody sees the counter without the entry. After an
	// error the append may have happened, or may happen later, all of it or nothing. An error that wraps
	// errors.ErrUnsupported means that this server cannot do it after all; nothing happened, and the caller appends in
	// steps instead.
	Append(ctx context.Context, a Append) (int64, error)
}

// AppendHint is the payload that Append publishes: the ticket in decimal, a space, the entry.
func AppendHint(n int64, value []byte) []byte {
	b := make([]byte, 0, 20+len(value))
	b = strconv.AppendInt(b, n, 10)
	b = append(b, ' ')
	return append(b, value...)
}

// Hinter publishes and subscribes. Hints are lossy: they may be dropped, doubled, reordered or late. Nothing may depend
// on one.
type Hinter interface {
	// Publish sends payload to whoever is subscribed to channel. A lost hint need not be an error.
	Publish(ctx context.Context, channel string, payload []byte) error

	// Subscribe calls fn with every payload on channel until cancel is called; a call that is already under way may
	// still end after that. fn is called with nil whenever hints may have been missed: once the subscription stands,
	// and after every reconnection. fn may be called concurrently, owns its payload, and must neither block nor use
	// the store before it returns. Any number of subscriptions shares one connection.
	Subscribe(channel string, fn func(payload []byte)) (cancel func())
}

// LateIndex finds candidates for silence without looking at everybody. It orders members by a count that the server
// raises with every touch, never by time. It returns a superset: a verdict needs the heartbeat itself.
type LateIndex interface {
	// Touch raises the index's count by one, gives that count to all of members, and refreshes the index's ttl.
	Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error
	// Count returns the index's count; 0 where there is none.
	Count(ctx context.Context, index string) (int64, error)
	// Counts returns the last count of each of members, in their order; 0 for one that the index does not hold.
	Counts(ctx context.Context, index string, members ...string) ([]int64, error)
	// Late returns up to limit members whose last count is <= count, the lowest first.
	Late(ctx context.Context, index string, count int64, limit int) ([]string, error)
	// Drop removes members from the index.
	Drop(ctx context.Context, index string, members ...string) error
}

// NoticeKind says what a Notice is about.
type NoticeKind uint8

// What a driver or a decorator reports.
const (
	NoticeFailure   NoticeKind = iota + 1 // an attempt failed; Err says why
	NoticeRetry                           // the next attempt comes after Delay; Attempt counts from 1
	NoticeRestored                        // an attempt succeeded after failures
	NoticeOpen                            // the breaker opened: operations fail at once
	NoticeHalfOpen                        // the breaker lets one probe through
	NoticeClosed                          // the breaker closed again
	NoticeRegressed                       // the store is another one than before, or lost acknowledged writes
)

// Notice is something that happened to the connection with the store.
type Notice struct {
	Kind    NoticeKind
	Attempt int           // NoticeRetry: the retry's number, from 1
	Delay   time.Duration // NoticeRetry: until the next attempt
	Err     error         // NoticeFailure, NoticeRetry, NoticeRegressed
}

// Notifier reports Notices.
type Notifier interface {
	// Notify calls fn for every Notice until cancel is called, with no lock held, possibly concurrently. fn must not
	// block.
	Notify(fn func(Notice)) (cancel func())
}
