package agree

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/blocking-coordination/coord/store"
)

// Clean deletes the counter and the votes of an agreement that is decided, ahead of their time; the decision stays. While
// there is no decision it deletes nothing and returns store.ErrNotFound. Anybody may call it, at any time, again and
// again; what it leaves over after an error, or what is written late, expires. Other errors are those of Attempt.
func Clean(ctx context.Context, s store.Store, n Names, c Codec) error {
	if _, err := Decided(ctx, s, n, c); err != nil {
		return err
	}
	a := attempt{ctx: ctx, s: s, n: n, c: c}
	if err := a.clean(); err != nil {
		return explain(ctx, err)
	}
	return nil
}

// clean deletes the votes before the counter that tells how many there are, so that it can be repeated.
func (a attempt) clean() error {
	last, err := a.lastTicket()
	if err != nil {
		return err
	}
	for from := int64(1); from <= last; from += voteBatch {
		if err := a.remove(from, min(last, from+voteBatch-1)); err != nil {
			return err
		}
	}
	_, err = a.s.Expire(a.ctx, a.n.Counter, 0)
	return err
}

func (a attempt) remove(from, to int64) error {
	ops := make([]store.Op, 0, to-from+1)
	for j := from; j <= to; j++ {
		ops = append(ops, store.ExpireOp(a.n.Vote(j), 0))
	}
	return store.FirstError(store.Batch(a.ctx, a.s, ops))
}

// lastTicket is the highest ticket taken; 0 where the counter is gone.
func (a attempt) lastTicket() (int64, error) {
	data, err := a.s.Get(a.ctx, a.n.Counter)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	last, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil || last < 0 || last > maxTicket {
		return 0, fmt.Errorf("%w: %s: %.20q", ErrForged, a.n.Counter, data)
	}
	return last, nil
}
