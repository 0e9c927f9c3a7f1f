// Package agree lets any number of processes agree on one value under one name, over the five operations of a store.
//
// The operations have consensus number 2, so no procedure on them ends in a bounded number of steps whatever the others
// do. This one never yields two decisions, and ends as soon as one process runs undisturbed for the length of one
// attempt.
//
//	for {
//		d, mine, err := agree.Attempt(ctx, s, names, codec, agree.TTLs{}, value)
//		if !errors.Is(err, agree.ErrAgain) {
//			return d, mine, err
//		}
//		pause(ctx, jitter())
//	}
//
// # Why it is safe
//
// Every attempt has a ticket of its own. It votes for the value of the highest lower vote that it finds, else for its
// own; and it decides if its ticket is still the newest once its vote is confirmed. Say ticket r decides x. Every later
// ticket was taken after vote r was confirmed, so it finds vote r or a higher one; by induction that is a vote for x. A
// crash, a lost answer and a late write are an attempt that stopped half-way: the next ticket adopts what is there.
//
// A vote is written by one attempt, once, with one value, and adopted by any number. An attempt whose vote is not
// confirmed never asks whether it is the newest: its ticket is burnt. (A store that repeats the same write until it is
// confirmed does no harm: the late copy holds the same bytes.)
//
// The counter and the votes may be deleted once the decision is visible, see Clean. The counter may then come back and
// reach a ticket that somebody still holds. Hence the decision is read after the counter and before it is written: it
// was visible before the counter was deleted, and is found.
//
// # Values that do not verify
//
// What Codec.Open rejects is never adopted and never returned. It is not taken for an absent key either: behind it may
// have been the vote or the decision that binds everybody (written with a newer key of the ring, or overwritten), and
// who goes on without it may decide again, otherwise. So the attempt stops with ErrForged before it votes. Whoever can
// write to the store can thereby hold up an agreement, by name and visibly, until the key is deleted or expires; he
// cannot make it choose a value that no key holder proposed. Nothing protects an agreement from one who deletes its
// keys: absence cannot be signed.
//
// # Assumptions
//
// A name is never used for a second agreement while any of its keys lives. No process stops for longer than the
// counter's time to live in the midst of an attempt and then goes on. The store forgets no confirmed write.
//
// The functions here are straight lines: no goroutine, no clock, no randomness. They may be called concurrently.
package agree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

var (
	// ErrAgain: nothing was decided by this attempt. Try again after a pause that differs between processes. It wraps
	// the store's error where that was the reason.
	ErrAgain = errors.New("agree: not decided yet")
	// ErrForged: a vote, a decision or the counter is not what a key holder wrote here. Trying again does not help.
	ErrForged = errors.New("agree: a value does not verify")
	// ErrInvalidTTL: the times to live break what TTLs demands.
	ErrInvalidTTL = errors.New("agree: invalid times to live")
)

// Names are the keys of one agreement. On a sharded store they must be of one hash tag.
type Names struct {
	Counter  string               // of tickets
	Decision string               // where the decision is published
	Vote     func(r int64) string // of ticket r, from 1; different for each r, and a pure function
}

// Codec signs what is written and verifies what is read. Both must be bound to the place, the key's name, so that a value
// moved to another key does not verify. Seal is deterministic, Open its inverse; neither keeps its argument.
type Codec interface {
	Seal(place string, value []byte) []byte
	Open(place string, data []byte) (value []byte, err error)
}

// The shortest time to live of any key, which is also the longest that a process may be frozen within an attempt.
const MinTTL = 7 * 24 * time.Hour

// TTLs are the times to live of an agreement's keys. Decision must be longer than Vote, Vote longer than Counter, and
// Counter at least MinTTL. The zero value means 30, 8 and 7 days.
type TTLs struct{ Decision, Vote, Counter time.Duration }

func (t TTLs) validated() (TTLs, error) {
	if t == (TTLs{}) {
		return TTLs{Decision: 30 * 24 * time.Hour, Vote: MinTTL + 24*time.Hour, Counter: MinTTL}, nil
	}
	if t.Decision <= t.Vote || t.Vote <= t.Counter || t.Counter < MinTTL {
		return t, fmt.Errorf("%w: decision %v > vote %v > counter %v >= %v does not hold",
			ErrInvalidTTL, t.Decision, t.Vote, t.Counter, MinTTL)
	}
	return t, nil
}

// Attempt proposes value once. It returns the decision, and whether that equals value: a process that must know whether
// it was the one puts its identity into its value.
//
// Errors: ErrAgain, ErrForged, ErrInvalidTTL; context.Cause(ctx) once ctx has ended; and those that are store.Permanent.
// After any of them value may yet be decided, by somebody who found this attempt's vote.
func Attempt(ctx context.Context, s store.Store, n Names, c Codec, t TTLs, value []byte) (decided []byte, mine bool, err error) {
	t, err = t.validated()
	if err != nil {
		return nil, false, err
	}
	decided, err = run(attempt{ctx, s, n, c, t}, value)
	if err != nil {
		return nil, false, explain(ctx, err)
	}
	return decided, bytes.Equal(decided, value), nil
}

// Decided returns the decision, or store.ErrNotFound while there is none. Other errors are those of Attempt.
func Decided(ctx context.Context, s store.Store, n Names, c Codec) ([]byte, error) {
	d, found, err := attempt{ctx: ctx, s: s, n: n, c: c}.decision()
	switch {
	case err != nil:
		return nil, explain(ctx, err)
	case !found:
		return nil, store.ErrNotFound
	}
	return d, nil
}

// explain turns what stopped an attempt into what its caller can act upon.
func explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrForged), errors.Is(err, ErrAgain), store.Permanent(err):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrAgain, err)
}
