// Package work keeps units of work with exactly one owner each, whoever dies, as straight lines over a store.
//
// A unit passes through epochs. The agreement work/<w>/0 gives it its first owner; the agreement work/<w>/<e> ends epoch
// e: Done with a result, or To the owner of epoch e+1. Every owner has an intent list, a log of (w, f) with f the epoch
// that it means to own, so that whoever finds it dead knows what to hand over.
//
//	unit, err := desk.PutUnit(ctx, "u-1", payload, 0)
//	mine, _, err := desk.Claim(ctx, me, unit, 0)       // accept
//	held, base, err := desk.Begin(ctx, me, unit, 1)    // base is empty in epoch 1
//	err = held.Checkpoint(ctx, state)
//	err = held.Done(ctx, result)                       // ErrFenced if another owns it by now
//
//	_, mine, err := desk.DecideDead(ctx, other, work.Death{Reason: work.Silent, By: "monitor-1"})
//	moved, aside, err := desk.HandOver(ctx, other, chooseHeir)
//
// # Invariants
//
// I1: work/w/e = To(o) implies that (w, e+1) was confirmed in o's list before o's death was visible.
// I2: handled(o) implies that for every such (w, f) in o's list work/w/(f-1) is decided, and work/w/f too where o owned f.
// I3: work/w/e is decided only after work/w/(e-1) = To.
// I4: whoever runs (w, f) begins with the newest acknowledged checkpoint of the epochs before, or with a newer one.
//
// From these follow X1 to X5 of the protocol: one owner per epoch, one Done per unit, what was accepted is done or owned
// by somebody who lives or is found, a lower epoch commits nothing, epochs rise.
//
// # Assumptions
//
// An owner (id, incarnation) is one process, and its List and each Held have one user at a time. No process stops for
// longer than Times.Freeze and then goes on. A unit's id is not used again before what the first use left has expired.
//
// Nothing here starts a goroutine, takes a lock, or reads a clock or randomness but what it is given. A Desk is not
// changed by its methods and may be used concurrently.
package work

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

var (
	// ErrFenced: the epoch belongs to somebody else, or the owner is decided dead.
	ErrFenced = errors.New("fenced: another owns this unit of work, or this incarnation was superseded or declared dead")
	// ErrDone: the epoch has ended with a result, by the same owner, but not with this call.
	ErrDone = errors.New("the unit of work is done already")
	// ErrNotDead: only the dead are handed over.
	ErrNotDead = errors.New("work: not decided dead")
	// ErrNotOwned: the epoch has no owner yet, or the unit was done before it: the epoch cannot end (I3).
	ErrNotOwned = errors.New("work: the epoch has no owner")
	// ErrNoHeir: there is nobody to give a unit to. Try again later.
	ErrNoHeir = errors.New("work: no heir")
	// ErrMalformed: a record is not what a key holder wrote there.
	ErrMalformed = errors.New("work: a record does not verify")
	// ErrSetAside: everything else was moved, but something could not be verified that a newer key ring, or the
	// deletion of a forged key, may mend. Try again later.
	ErrSetAside = errors.New("work: something was set aside that may be mended")
	// ErrInvalidTimes: the times break what Times demands.
	ErrInvalidTimes = errors.New("work: invalid times")
)

// Owner is one incarnation of a coordinator.
type Owner struct {
	ID          string `json:"id"`
	Incarnation int64  `json:"incarnation"`
}

// String is id/incarnation.
func (o Owner) String() string { return o.ID + "/" + dec(o.Incarnation) }

func (o Owner) check() error {
	if o.Incarnation < 1 {
		return fmt.Errorf("%w: incarnation %d", ErrMalformed, o.Incarnation)
	}
	return keys.CheckID(o.ID)
}

// Desk is where work is claimed, handed over and finished.
type Desk struct {
	Store store.Store
	Space keys.Space
	Ring  *envelope.Ring
	Times Times
	Now   func() time.Time
	// By names this process in the decisions that it proposes; different for each process, so that each knows its own.
	By string
	// Pause waits a while that grows with attempt, from 1, and differs between processes. Its error ends what it
	// interrupts.
	Pause func(ctx context.Context, attempt int) error
}

// until repeats step while its outcome is unknown: the same again until it is confirmed, ctx ends, or the store has given
// up: whoever asks that again soon gets the same answer.
func (d *Desk) until(ctx context.Context, step func() error) error {
	for attempt := 1; ; attempt++ {
		err := step()
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if e := d.Pause(ctx, attempt); e != nil {
			return errors.Join(e, err)
		}
	}
}

// final reports whether err is one that trying again does not mend, or not soon.
func final(err error) bool {
	for _, f := range []error{ErrMalformed, agree.ErrForged, agree.ErrInvalidTTL, store.ErrUnavailable} {
		if errors.Is(err, f) {
			return true
		}
	}
	return store.Permanent(err)
}

// get reads key until the answer is known; found is false where nothing is there.
func (d *Desk) get(ctx context.Context, key string) (data []byte, found bool, err error) {
	err = d.until(ctx, func() (err error) {
		data, err = d.Store.Get(ctx, key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// put writes key until that is confirmed.
func (d *Desk) put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return d.until(ctx, func() error { return d.Store.SetEX(ctx, key, value, ttl) })
}

// batch does ops until the outcome of each is known, all of them again after a failure. That nothing is there, or
// something else than a record, is left in its result, so that one bad key does not stop the others.
func (d *Desk) batch(ctx context.Context, ops []store.Op) (results []store.Result, err error) {
	err = d.until(ctx, func() error {
		results = store.Batch(ctx, d.Store, ops)
		return failure(results)
	})
	return results, err
}

// failure returns the first error that is not about the key alone.
func failure(results []store.Result) error {
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, store.ErrNotFound) && !errors.Is(r.Err, store.ErrWrongType) {
			return r.Err
		}
	}
	return nil
}

// refresh does ops, which change no value.
func (d *Desk) refresh(ctx context.Context, ops []store.Op) error {
	for len(ops) > 0 {
		n := min(len(ops), 2*batchSize)
		if _, err := d.batch(ctx, ops[:n]); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}

func dec(n int64) string { return strconv.FormatInt(n, 10) }
