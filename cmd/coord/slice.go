package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
)

// began is when something that is done in slices was begun: agreed upon, so that a slice more does not give it more time.
type began struct {
	V  int   `json:"v"`
	At int64 `json:"at"` // Unix milliseconds
}

// turn is one run of something that is done in slices, or without.
type turn struct {
	*link
	timeout, slice time.Duration
	began          time.Time
	within         time.Duration   // what it has from then on to get ready, and a slice in all
	ctx            context.Context // ends then
}

// turn begins one. A store that does not answer has it end with its slice, as if nothing had come.
func (l *link) turn(timeout, slice time.Duration) (t *turn, stop context.CancelFunc) {
	t = &turn{link: l, timeout: timeout, slice: slice, began: time.Now(), within: cmp.Or(timeout, joinTime)}
	if t.sliced(timeout) {
		t.within = max(slice, lastLook)
	}
	t.ctx, stop = context.WithTimeoutCause(l.app.ctx, t.within, coord.ErrTimeout)
	return t, stop
}

// sliced reports whether there is more left than one slice.
func (t *turn) sliced(left time.Duration) bool { return t.slice > 0 && t.slice < left }

// left is how long to block now, of a timeout that counts from when name was begun, and whether that is all there is left.
func (t *turn) left(name keys.Decide) (within time.Duration, last bool, err error) {
	now, err := json.Marshal(began{1, t.began.UnixMilli()})
	if err != nil {
		return 0, false, err
	}
	desk := t.desk()
	raw, _, err := desk.Decide(t.ctx, name, desk.Times.Epoch, now)
	if err != nil {
		return 0, false, t.explained(err)
	}
	var b began
	err = json.Unmarshal(raw, &b)
	left := max(0, t.timeout-time.Since(time.UnixMilli(b.At)))
	if t.sliced(left) {
		return t.rest(t.slice), false, err
	}
	return left, true, err
}

// rest is what there is left of d, and of the time to get ready.
func (t *turn) rest(d time.Duration) time.Duration { return min(d, t.within-time.Since(t.began)) }

// explained is err, or what the end of ctx means: of a slice, that another one may find more. When it was all begun
// stands in the store, so while that does not answer no slice can be known to be the last.
func (t *turn) explained(err error) error {
	if !errors.Is(err, coord.ErrTimeout) && !errors.Is(err, coord.ErrUnavailable) {
		return err
	}
	silent := t.unavailable(t.within)
	if !t.sliced(t.timeout) {
		return silent
	}
	return &failure{code: exitWaiting, line: silent.Error() + ": still open, run the same again", cause: silent}
}

// desk is for agreements.
func (l *link) desk() *work.Desk {
	return &work.Desk{
		Store: l.store, Space: keys.In(l.app.Namespace), Ring: l.ring, Times: work.DefaultTimes, Now: time.Now,
		Pause: func(ctx context.Context, _ int) error { pause(ctx, retryPause); return context.Cause(ctx) },
	}
}

// joinAloud is join for those who join again and again under an id: it says so where another process may be using it.
func (t *turn) joinAloud(id string) (*coord.Coordinator, error) {
	value, err := t.store.Get(t.ctx, keys.In(t.app.Namespace).Heartbeat(id))
	if err == nil {
		if beat, err := envelope.OpenHeartbeat(t.ring, id, value); err == nil {
			t.narrator.say("warning: superseding incarnation %d of %s, whose last heartbeat is of %s",
				beat.Incarnation, id, age(time.Now(), beat.Time))
		}
	}
	me, err := t.joinUntil(t.ctx, id, t.within)
	return me, t.explained(err)
}
