package detecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/store"
)

// judge sees what becomes visible in the store, and when.
type judge struct {
	world    *sim.World
	policy   detect.Policy
	born     time.Time // when the store lost its data
	rise     time.Time // when the member's highest beat became visible
	seq      uint64
	obscured bool // a late write may have hidden a beat
	late     int  // late writes so far
	looked   time.Time
	warnings []string             // that somebody tried to write
	stands   map[string]time.Time // since when each of them stands
	expired  map[string]time.Time // when one was last seen to stand that does not any more
	decision []byte
	wrong    error
}

func newJudge(w *sim.World, policy detect.Policy) *judge {
	return &judge{
		world: w, policy: policy, rise: sim.Start, looked: sim.Start,
		stands: map[string]time.Time{}, expired: map[string]time.Time{},
	}
}

func (j *judge) fail(format string, args ...any) {
	if j.wrong == nil {
		j.wrong = fmt.Errorf(format, args...)
	}
}

// look is done around every operation. It is one trip where the store has batches.
func (j *judge) look() {
	now := j.world.Now()
	if late := j.world.Counts()["ghost applied"]; late != j.late {
		j.late, j.obscured = late, true
	} else {
		j.looked = now
	}
	ops := []store.Op{store.GetOp(space.Heartbeat("p")), store.GetOp(space.Dead("p", 1).Decision())}
	for _, key := range j.warnings {
		ops = append(ops, store.GetOp(key))
	}
	got := store.Batch(ctx, j.world.Store, ops)
	j.lookAtBeat(got[0], j.looked)
	j.lookAtDecision(got[1])
	for i, key := range j.warnings {
		j.lookAtWarning(key, got[2+i].Err == nil)
	}
	j.looked = now
}

// lookAtBeat: a beat that came late may have been there since the last look, and only by its writer's own look is it known
// when.
func (j *judge) lookAtBeat(r store.Result, since time.Time) {
	if r.Err != nil {
		return
	}
	beat, err := envelope.OpenHeartbeat(ring, "p", r.Value)
	if err == nil && beat.Seq > j.seq {
		j.seq, j.rise, j.obscured = beat.Seq, since, false
	}
}

// lookAtDecision: D4.
func (j *judge) lookAtDecision(r store.Result) {
	if r.Err != nil {
		return
	}
	if j.decision != nil && !bytes.Equal(r.Value, j.decision) {
		j.fail("D4: decided %s, and then %s", j.decision, r.Value)
	}
	j.decision = r.Value
}

// lookAtWarning takes the earliest moment at which it may have come.
func (j *judge) lookAtWarning(key string, stands bool) {
	switch _, known := j.stands[key]; {
	case !stands && known:
		delete(j.stands, key)
		j.expired[key] = j.looked
	case stands && !known:
		j.stands[key] = j.looked
	}
}

// door leads an actor to the store, and lets the judge look.
type door struct {
	store.Store
	play    *play
	heard   time.Time            // when this monitor last asked for the heartbeat
	gap     time.Duration        // of the member at that moment
	obscure bool                 // a beat may have been hidden then
	written map[string]time.Time // when a warning's writing was last confirmed
}

// Capabilities are the late index, which shows nothing to the judge, and no other: operations come one by one.
func (d *door) Capabilities() store.Capabilities {
	return store.Capabilities{Late: store.CapabilitiesOf(d.Store).Late}
}

func (d *door) Get(ctx context.Context, key string) ([]byte, error) {
	d.play.look()
	value, err := d.Store.Get(ctx, key)
	d.play.look()
	if key == space.Heartbeat("p") && (err == nil || errors.Is(err, store.ErrNotFound)) {
		now := d.play.world.Now()
		d.heard, d.gap, d.obscure = now, now.Sub(d.play.rise), d.play.obscured
	}
	return value, err
}

func (d *door) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	d.play.look()
	defer d.play.look() // also when the writer crashes after it
	warning := strings.HasPrefix(key, space.Prefix()+"warning:")
	if warning {
		d.judge(key)
	}
	err := d.Store.SetEX(ctx, key, value, ttl)
	if warning && err == nil {
		d.written[key] = d.play.world.Now()
	}
	return err
}

func (d *door) Incr(ctx context.Context, key string) (int64, error) {
	d.play.look()
	defer d.play.look()
	return d.Store.Incr(ctx, key)
}

func (d *door) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	d.play.look()
	defer d.play.look()
	return d.Store.Expire(ctx, key, ttl)
}

// judge: D2 and D3, when a warning is about to be written.
func (d *door) judge(key string) {
	p, now := d.play, d.play.world.Now()
	if !slices.Contains(p.warnings, key) {
		p.warnings = append(p.warnings, key)
	}
	if !d.obscure && d.gap < p.Policy.Stale {
		p.fail("D2: a warning after a visible gap of %v: %s", d.gap, key)
	}
	if now.Sub(d.heard) > 2*p.Policy.Check {
		p.fail("D2: a warning by a monitor that asked %v ago: %s", now.Sub(d.heard), key)
	}
	at := strings.LastIndexByte(key, ':')
	k, _ := strconv.Atoi(key[at+1:])
	before := key[:at+1] + strconv.Itoa(k-1)
	since, stood := p.stands[before]
	justNow := !stood && !p.expired[before].Before(d.heard) // in this pass, after it was read
	if k > 1 && !justNow && (!stood || now.Sub(since) < p.Policy.Spacing) {
		p.fail("D3: the warning before stands: %v, since %v: %s", stood, now.Sub(since), key)
	}
	last, again := d.written[key]
	if _, stands := p.stands[key]; again && stands && last.After(p.born) && now.Sub(last) < p.Policy.Window {
		p.fail("D3: written twice by one monitor: %s", key)
	}
}

// accuse: the death of one who lives is proposed only after all the silence.
func (d *door) accuse() {
	p := d.play
	least := p.Policy.Stale + time.Duration(p.Policy.Warnings-1)*p.Policy.Spacing
	silent := d.gap + p.world.Now().Sub(d.heard) // others may have asked since
	if !d.obscure && p.decision == nil && silent < least {
		p.fail("D1: a death is proposed after a visible gap of %v", silent)
	}
}
