// Package breaker makes a store.Store bear outages: it retries what failed, and stops trying while the store is down.
//
//	st := breaker.Wrap(redisstore.New(client))
//	c, err := coord.Open(st, coord.Config{Secret: key})
//
// Every operation of the store is tried up to five times, at 0, 1, 3, 7 and 15 s plus the time that the attempts take.
// All operations share one breaker:
//
//	closed     every attempt reaches the store; the fifth failure in a row, by whichever operation, opens it
//	open       for 5 s every operation fails at once with store.ErrUnavailable: no I/O, no pause
//	half-open  the next attempt is the probe; all others fail at once; its outcome closes the breaker or opens it again
//
// The breaker is half-open only when an operation asks: there is no goroutine and no timer of its own. Every attempt has
// a deadline, so a probe into a black hole ends.
//
// # What counts
//
// An attempt fails if the store did not answer: any error that is not listed here. store.ErrNotFound, ErrNotInteger and
// ErrWrongType are answers, as good as success. store.ErrInvalidTTL, store.ErrDenied and errors.ErrUnsupported, and the
// end of the caller's context, count for nothing: neither for the store nor against it. None of these is retried.
//
// # Errors
//
// An answer's error is returned as it is. When the caller's context ends, before an attempt or during one or in the pause
// between two, its context.Cause is returned at once. Everything else wraps store.ErrUnavailable and the last failure,
// and says what failed, on which key, after how many attempts, and when the next probe is due. The deadline of an attempt
// is the breaker's own, so the errors that come of it never wrap context.DeadlineExceeded: that is the caller's alone.
// After any such error a write may have happened, or may happen later.
//
// # Beats
//
// Once is the same store with one attempt per call, neither held up by the breaker nor counted by it. Heartbeats and
// monitors use it: the living must not fall silent because others' operations fail.
//
// Time is that of package time, not of a store's Clock, because gobreaker reads it there. Inside a testing/synctest
// bubble it is the bubble's.
package breaker

import (
	"github.com/blocking-coordination/coord/store"
)

// Breaker is a store.Store that retries and gives up as the package comment says. All its methods may be called
// concurrently. It holds nothing that must be closed.
type Breaker struct {
	*guarded
	once *guarded
}

var (
	_ store.Store   = (*Breaker)(nil)
	_ store.Capable = (*Breaker)(nil)
)

// Wrap returns s behind a breaker, which is closed. It keeps s, which must not be nil; closing s stays the caller's
// business. Wrap a store once: two breakers around one store know nothing of each other.
func Wrap(s store.Store, opts ...Option) *Breaker {
	cfg, caps := newConfig(opts), store.CapabilitiesOf(s)
	notices := &notices{inner: caps.Notices}
	once := guard(beatStore(s, caps), single{}, cfg, notices)
	once.caps.Once = once
	all := guard(s, newGate(cfg, notices), cfg, notices)
	all.caps.Once = once
	return &Breaker{guarded: all, once: once}
}

// beatStore is the store's own for beats (it may have connections of their own), or else s.
func beatStore(s store.Store, caps store.Capabilities) store.Store {
	if caps.Once != nil {
		return caps.Once
	}
	return s
}

// Once returns the store without retries and without the breaker: every call is one attempt with a deadline, whatever
// the breaker's state, and its outcome changes nothing. Errors are the store's own. It is the same value on every call,
// and has the same capabilities, likewise unguarded.
func (b *Breaker) Once() store.Store { return b.once }
