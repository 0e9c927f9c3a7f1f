package worktest

import (
	"errors"
	"maps"
	"slices"

	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// What owners are told, against what was decided.

// claimed: X1, whoever is told that a unit is its own is its first owner.
func (j *judge) claimed(me work.Owner, u string) {
	if d := j.ended[place{u, 0}]; !d.Gives(me) {
		j.fail("X1: %v was told that it owns %s: %+v", me, u, d)
	}
}

// began keeps X1, X4 and X5 of one who begins.
func (j *judge) began(me work.Owner, u string, f int64, base string) {
	if d, ok := j.ended[place{u, f - 1}]; !ok || !d.Gives(me) {
		j.fail("X1: %v begins epoch %d of %s, which is not its own", me, f, u)
	}
	if _, over := j.ended[place{u, f}]; over {
		j.fail("X5: %v begins epoch %d of %s after its end", me, f, u)
	}
	if all := j.begun[u]; len(all) > 0 {
		j.inherits(me, u, f, base, all[len(all)-1])
	} else if len(base) > 0 {
		j.fail("X4: %v begins %s with %q, and nobody ran it before", me, u, base)
	}
	j.begun[u] = append(j.begun[u], &beginning{epoch: f, left: []string{base}, acked: 1})
}

// inherits: the base is what the last who ran left: the newest that it was acknowledged, or something newer of its own.
func (j *judge) inherits(me work.Owner, u string, f int64, base string, last *beginning) {
	if last.epoch >= f {
		j.fail("X5: %v begins epoch %d of %s after epoch %d was begun", me, f, u, last.epoch)
	}
	switch i := slices.Index(last.left, base); {
	case i < 0:
		j.fail("X4: %v begins epoch %d of %s with %q, which epoch %d did not leave: %q", me, f, u, base, last.epoch, last.left)
	case i < last.acked-1:
		j.fail("I4: %v begins epoch %d of %s with %q, older than the acknowledged %q", me, f, u, base, last.left[last.acked-1])
	}
}

func (j *judge) running(u string, f int64) *beginning {
	for _, b := range j.begun[u] {
		if b.epoch == f {
			return b
		}
	}
	return nil
}

func (j *judge) tries(u string, f int64, state string) {
	b := j.running(u, f)
	b.left = append(b.left, state)
}

// acknowledged: X4, no epoch is acknowledged anything after its end.
func (j *judge) acknowledged(u string, f int64) {
	if d, over := j.ended[place{u, f}]; over && d.To != nil {
		j.fail("X4: epoch %d of %s was acknowledged a checkpoint after it went to %v", f, u, *d.To)
	}
	b := j.running(u, f)
	b.acked = len(b.left)
}

// done: what Done confirmed is the unit's result.
func (j *judge) done(me work.Owner, u string, f int64, result string) {
	if d := j.ended[place{u, f}]; d.Done == nil || d.Done.Owner != me || string(d.Done.Value) != result {
		j.fail("X2: %v was confirmed that %s is done in epoch %d: %+v", me, u, f, d)
	}
}

// unfinished is a unit that was accepted and is not done.
func (j *judge) unfinished(units []string) string {
	for _, u := range units {
		if last, accepted := j.ended[place{u, j.epochs[u] - 1}]; accepted && last.Done == nil {
			return u
		}
	}
	return ""
}

// finished is X3, after all that can be escalated was; and every decision still stands.
func (j *judge) finished(units []string) {
	if u := j.unfinished(units); u != "" {
		j.fail("X3: %s was accepted; it is neither done nor owned by anybody who lives, after epoch %d", u, j.epochs[u]-1)
	}
	var ops []store.Op
	for _, key := range slices.Sorted(maps.Keys(j.raw)) {
		ops = append(ops, store.GetOp(key))
	}
	for i, got := range store.Batch(ctx, j.store, ops) {
		if j.weeks && errors.Is(got.Err, store.ErrNotFound) {
			continue // nobody refreshes the decisions on epochs that nobody can own any more
		}
		if got.Err != nil || j.changed(ops[i].Key, got.Value) {
			j.fail("X1: %s was %s and is %s, %v", ops[i].Key, j.raw[ops[i].Key], got.Value, got.Err)
		}
	}
}
