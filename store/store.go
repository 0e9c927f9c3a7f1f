// Package store is the contract between coord and whatever keeps its state: five operations that every driver has,
// and a few optional capabilities that make the same protocol faster. The protocol is correct on the five alone.
//
// A driver neither retries nor logs; that is the caller's business (see package breaker). Prove a driver with
// conformance.Run and conformance.RunProtocol.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors that a store returns, wrapped or bare, for errors.Is. Except for ErrUnavailable, none of them means that the
// store is unwell: trying again does not help (see Permanent). Any other error leaves the outcome of a write unknown: it
// may have happened, it may happen later, even after a second attempt succeeded.
var (
	// ErrNotFound: the key does not exist or has expired. Get alone returns it.
	ErrNotFound = errors.New("store: key not found")
	// ErrNotInteger: Incr met a value that is not a canonical int64, or math.MaxInt64. Nothing was changed.
	ErrNotInteger = errors.New("store: value is not an integer that can be incremented")
	// ErrInvalidTTL: a time to live that is not positive, or too long for the driver. Nothing was changed.
	ErrInvalidTTL = errors.New("store: invalid time to live")
	// ErrWrongType: the key holds something that is not a string of bytes. Nothing was changed.
	ErrWrongType = errors.New("store: key holds a value of another type")
	// ErrDenied: the store knows us and refuses: wrong password, missing permission. Nothing was changed.
	ErrDenied = errors.New("store: access denied")
	// ErrUnavailable: a decorator gave up on the store for now, or refuses to try: nothing about the caller's request is
	// wrong. A driver never returns it, it is not Permanent, and it too leaves the outcome of a write unknown.
	ErrUnavailable = errors.New("store: unavailable")
)

// Permanent reports whether err is one that no retry mends and that says nothing about the store's health.
func Permanent(err error) bool {
	for _, p := range []error{ErrNotFound, ErrNotInteger, ErrInvalidTTL, ErrWrongType, ErrDenied} {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// Store is what a driver implements. Each operation is atomic for its key, and all operations on one key are
// linearizable. Times to live have millisecond precision. A key is alive before its deadline and dead after it; at the
// deadline either is allowed. Every method may be called concurrently and returns soon after ctx ends.
type Store interface {
	// SetEX replaces value and time to live of key. The store keeps no reference to value. An empty or nil value is
	// legal and reads back as empty. ttl <= 0, or more than the driver can hold, is ErrInvalidTTL.
	SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Get returns the value of key, or ErrNotFound. The caller owns the returned bytes.
	Get(ctx context.Context, key string) ([]byte, error)

	// Incr adds one to the decimal int64 at key and returns the sum. A missing key counts as 0 and gets no time to
	// live; an existing time to live is kept. Two calls never return the same number. ErrNotInteger changes nothing.
	Incr(ctx context.Context, key string) (int64, error)

	// Expire sets the time to live of key and reports whether the key was there. ttl <= 0 deletes it: this is the only
	// way to delete. A ttl too long for the driver is ErrInvalidTTL.
	Expire(ctx context.Context, key string, ttl time.Duration) (bool, error)

	// Keys returns the live keys that begin with prefix, taken literally (no glob), each once, in any order. A key that
	// is alive during the whole call is returned; one that comes or goes meanwhile may be. It is for audits, never for
	// a hot path, and must not stall the store's other clients.
	Keys(ctx context.Context, prefix string) ([]string, error)
}
