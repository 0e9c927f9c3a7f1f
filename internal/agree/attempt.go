package agree

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/blocking-coordination/coord/store"
)

// attempt is what the steps of one attempt share.
type attempt struct {
	ctx context.Context
	s   store.Store
	n   Names
	c   Codec
	ttl TTLs
}

// run is the procedure. Every error but of the steps before the vote leaves the vote's or the decision's fate unknown;
// that is as if we had crashed, and the next attempt, with a new ticket, adopts what is there.
func run(a attempt, v []byte) ([]byte, error) {
	if d, found, err := a.decision(); found || err != nil {
		return d, err
	}
	r, err := a.ticket()
	if err != nil {
		return nil, err
	}
	x, err := a.adopt(r, v)
	if err != nil {
		return nil, err
	}
	if err := a.vote(r, x); err != nil {
		return nil, err // not confirmed: this ticket must not decide
	}
	if err := a.newest(r); err != nil {
		return nil, err
	}
	if d, found, err := a.decision(); found || err != nil { // the counter may have been cleaned away under us
		return d, err
	}
	return x, a.decide(x)
}

// decision reads the decision.
func (a attempt) decision() (d []byte, found bool, err error) {
	data, err := a.s.Get(a.ctx, a.n.Decision)
	return a.open(a.n.Decision, data, err)
}

// open verifies what was read at place.
func (a attempt) open(place string, data []byte, err error) (value []byte, found bool, _ error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value, err = a.c.Open(place, data)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %s: %v", ErrForged, place, err)
	}
	return value, true, nil
}

// maxTicket is more attempts than any agreement needs. A counter beyond it was not counted up by us, and looking for all
// the votes below would take for ever.
const maxTicket = 1 << 16

// ticket takes a ticket. A lost answer burns one: the caller comes back for another.
func (a attempt) ticket() (int64, error) {
	results := store.Batch(a.ctx, a.s, []store.Op{store.IncrOp(a.n.Counter), store.ExpireOp(a.n.Counter, a.ttl.Counter)})
	r := results[0].N
	switch {
	case results[0].Err != nil:
		return 0, results[0].Err
	case r < 1 || r > maxTicket:
		return 0, fmt.Errorf("%w: %s: ticket %d", ErrForged, a.n.Counter, r)
	}
	return r, nil // a refresh that failed is the next one's business
}

// voteBatch is how many votes are read in one trip.
const voteBatch = 32

// adopt returns the value of the highest vote below r, or v where there is none.
//
// Reading many votes in one trip is safe, in whatever order: if a lower ticket has decided, its vote was confirmed before
// r was taken, thus before any of these reads, and is among them until the decision is visible; the highest vote found is
// then that one or a later one. What appears below r after its read belongs to a ticket that has yet to ask whether it is
// the newest, and will learn that it is not.
func (a attempt) adopt(r int64, v []byte) ([]byte, error) {
	for top := r - 1; top >= 1; top -= voteBatch {
		x, found, err := a.highest(top, max(1, top-voteBatch+1))
		if found || err != nil {
			return x, err
		}
	}
	return v, nil
}

// highest returns the highest vote from top down to bottom. Each must be known: one that could not be read may be the one.
func (a attempt) highest(top, bottom int64) (x []byte, found bool, err error) {
	ops := make([]store.Op, 0, top-bottom+1)
	for j := top; j >= bottom; j-- {
		ops = append(ops, store.GetOp(a.n.Vote(j)))
	}
	for i, result := range store.Batch(a.ctx, a.s, ops) {
		if x, found, err = a.open(ops[i].Key, result.Value, result.Err); found || err != nil {
			return x, found, err
		}
	}
	return nil, false, nil
}

// vote publishes x as the vote of ticket r.
func (a attempt) vote(r int64, x []byte) error {
	place := a.n.Vote(r)
	return a.s.SetEX(a.ctx, place, a.c.Seal(place, x), a.ttl.Vote)
}

// newest is nil if no ticket after r was taken, as far as the counter tells.
func (a attempt) newest(r int64) error {
	data, err := a.s.Get(a.ctx, a.n.Counter)
	switch {
	case errors.Is(err, store.ErrNotFound): // cleaned away
		return ErrAgain
	case err != nil:
		return err
	case string(data) != strconv.FormatInt(r, 10):
		return ErrAgain
	}
	return nil
}

// decide publishes the decision. It is not repeated here until it is confirmed, because the store may fail as fast as it
// is asked: the next attempt adopts our vote and comes to the same x.
func (a attempt) decide(x []byte) error {
	return a.s.SetEX(a.ctx, a.n.Decision, a.c.Seal(a.n.Decision, x), a.ttl.Decision)
}
