package coord

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

const beatsAtOnce = 200 // heartbeats in one batch

// pulse is a coordinator's own view of its heartbeat.
type pulse struct {
	mu        sync.Mutex
	seq       uint64
	good      time.Time // when the last good beat was sent: from then on, others may count
	refreshed time.Time // when the counters and the registration were
	failing   bool
	suspended bool
}

// beat writes the heartbeats of the whole process: one attempt each, past the breaker, so that no outage and no backoff
// of others makes the living silent (B6). Where a trip fails the clocks of all are looked at, for those whose turn comes
// last: through a network that swallows everything, all the trips may take longer than a TTL (D6).
func (c *Client) beat() {
	all := c.joined()
	for batch := range slices.Chunk(all, beatsAtOnce) {
		ctx, cancel := context.WithTimeout(c.life, c.Policy.Beat)
		err := c.beatAll(ctx, batch)
		cancel()
		for i := 0; err != nil && i < len(all); i++ {
			all[i].lapse()
		}
	}
}

// worthBeating reports whether anybody is joined.
func (c *Client) worthBeating() bool { return len(c.joined()) > 0 }

func (c *Client) joined() []*Coordinator {
	return slices.DeleteFunc(c.everybody(), func(a *Coordinator) bool { return a.guest || a.leaving.Load() })
}

// beatAll returns what went wrong with the first heartbeat that failed.
func (c *Client) beatAll(ctx context.Context, batch []*Coordinator) error {
	sent := c.Clock.Now()
	ops := []store.Op{store.GetOp(c.space.Generation())}
	for _, a := range batch {
		ops = append(ops, a.beatOp(sent))
	}
	doubtful := slices.DeleteFunc(slices.Clone(batch), func(a *Coordinator) bool { return !a.pulse.doubtful(sent, c.Policy) })
	for _, a := range doubtful {
		ops = append(ops, store.GetOp(c.space.Dead(a.id, a.me.Incarnation).Decision()))
	}
	touch := c.touch(batch)
	results := store.Batch(ctx, c.once, append(ops, touch...))
	for i, a := range doubtful {
		if dead := results[1+len(batch)+i]; dead.Err == nil && !a.leaving.Load() && a.declaredDead(ctx) {
			a.fence() // D5: whatever became of the beat
		}
	}
	for i, a := range batch {
		if !a.over.Load() {
			a.beaten(sent, results[1+i].Err)
		}
	}
	c.touched(ctx, touch, results[len(ops):])
	if store.FirstError(results[:1]) == nil && c.lost(results[0].Value) {
		c.run(func() { c.regressed(errLost) }) // B6: it uses the store at length, and beats do not wait for that
	}
	return store.FirstError(results[1 : 1+len(batch)])
}

// lateTTL is how long the late index outlives the last touch: where nobody beats for so long, nobody is on time.
const lateTTL = time.Hour

// touch puts those in the batch whose turn it is on time in the late index, where there is one: each at every second
// beat. Where it fails they are late, and every monitor looks at their heartbeats, which are what counts.
func (c *Client) touch(batch []*Coordinator) []store.Op {
	if store.CapabilitiesOf(c.once).Late == nil {
		return nil
	}
	var names []string
	for i, a := range batch {
		if (a.pulse.sequence()+uint64(i))%detect.Touching == 0 { // not all at the same beat
			names = append(names, keys.Indexed(a.id, a.me.Incarnation))
		}
	}
	if names == nil {
		return nil
	}
	return []store.Op{store.TouchOp(c.space.Late(), lateTTL, names...)}
}

// touched goes the other way where a batch cannot touch.
func (c *Client) touched(ctx context.Context, ops []store.Op, results []store.Result) {
	for i, op := range ops {
		if errors.Is(results[i].Err, errors.ErrUnsupported) {
			_ = store.CapabilitiesOf(c.once).Late.Touch(ctx, op.Key, op.TTL, op.Members...)
		}
	}
}

func (p *pulse) sequence() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seq
}

// doubtful reports whether to ask if somebody has decided that we are dead: always when a beat may have been missing,
// and now and then, for somebody may have joined under our name.
func (p *pulse) doubtful(now time.Time, policy Policy) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seq%4 == 0 || p.failing || p.suspended || now.Sub(p.good) > 2*policy.Beat
}

// declaredDead: something stands where my death would be decided; it counts if a key holder wrote it.
func (a *Coordinator) declaredDead(ctx context.Context) bool {
	_, dead, err := a.client.briefDesk().Dead(ctx, a.owner())
	return dead && err == nil
}

// firstBeat is written before Join returns.
func (a *Coordinator) firstBeat(ctx context.Context) error {
	c := a.client
	sent := c.Clock.Now()
	op := a.beatOp(sent) // the index learns of it with the next one
	err := c.store.SetEX(ctx, op.Key, op.Value, op.TTL)
	a.pulse.refreshed = sent
	a.beaten(sent, err)
	return err
}

func (a *Coordinator) beatOp(now time.Time) store.Op {
	a.pulse.mu.Lock()
	a.pulse.seq++
	seq := a.pulse.seq
	a.pulse.mu.Unlock()
	c, status := a.client, "alive"
	if heir, load := a.work.offers(); heir {
		status = heirStatus(load)
	}
	sealed, _ := envelope.AppendHeartbeat(nil, c.ring, &envelope.Heartbeat{ // the id was checked by Join
		ID: a.id, Incarnation: a.me.Incarnation, Session: a.me.Session, Seq: seq, Time: now, Status: status,
		Waits: a.blocked(),
	})
	return store.SetEXOp(c.space.Heartbeat(a.id), sealed, c.Policy.TTL)
}

// beaten draws the consequences of one beat.
func (a *Coordinator) beaten(sent time.Time, err error) {
	c, p := a.client, &a.pulse
	c.emit(Beat{a.id, a.me.Incarnation, err})
	if err != nil {
		a.missed()
		return
	}
	p.mu.Lock()
	silent, failing, suspended := sent.Sub(p.good), p.failing, p.suspended
	lapsed := !suspended && !p.good.IsZero() && silent >= c.Policy.TTL // we were stopped, and nobody could tell us
	p.good, p.failing, p.suspended = sent, false, false
	refresh := sent.Sub(p.refreshed) > keepAlive
	if refresh {
		p.refreshed = sent
	}
	p.mu.Unlock()
	if failing {
		c.emit(HeartbeatResumed{a.id, silent})
	}
	if lapsed {
		a.suspend()
	}
	if suspended || lapsed {
		c.emit(Resumed{a.id, a.me.Incarnation})
	}
	a.work.resumeAll()
	if refresh {
		c.run(a.refresh) // B6: it uses the store at length, and beats do not wait for that
	}
}

func (a *Coordinator) missed() {
	a.pulse.mu.Lock()
	a.pulse.failing = true
	a.pulse.mu.Unlock()
	a.lapse()
}

// lapse: D6, suspended no later than one TTL after the last good beat was sent. The next look may be two beats away: one
// that waits for its deadline, and the pause after it.
func (a *Coordinator) lapse() {
	p := &a.pulse
	p.mu.Lock()
	silent := a.client.Clock.Now().Sub(p.good)
	suspended := !p.suspended && silent >= a.client.Policy.TTL-2*a.client.Policy.Beat
	p.suspended = p.suspended || suspended
	p.mu.Unlock()
	if suspended {
		a.suspend()
	}
}

// suspend: others may believe by now that we are dead, so nothing is done in the outside world.
func (a *Coordinator) suspend() {
	a.client.emit(Suspended{a.id, a.me.Incarnation})
	a.work.suspend()
}

// Suspended returns ErrSuspended if no heartbeat has reached the store for one TTL less two Beats: others may soon believe
// that this incarnation is dead, so it should not act in the outside world until the next good beat. Else nil.
func (a *Coordinator) Suspended() error {
	a.pulse.mu.Lock()
	defer a.pulse.mu.Unlock()
	if a.pulse.suspended || a.client.Clock.Now().Sub(a.pulse.good) >= a.client.Policy.TTL {
		return ErrSuspended
	}
	return nil
}

// refresh keeps alive, for as long as its owner lives, what must outlive the owner by thirty days.
func (a *Coordinator) refresh() {
	c, ctx := a.client, a.life
	results := store.Batch(ctx, c.once, []store.Op{
		store.ExpireOp(c.space.Incarnation(a.id), numberTTL),
		store.ExpireOp(c.space.Generation(), counterTTL),
		store.ExpireOp(c.space.Cursor(a.id), c.times.Cursor),
		store.ExpireOp(c.space.Mailbox(a.id).Tail, c.times.Log.Tail),
	})
	err := store.FirstError(results)
	if err == nil {
		err = a.register(ctx)
	}
	if err == nil {
		err = a.work.refresh(ctx)
	}
	if err != nil && ctx.Err() == nil {
		c.emit(StoreFailed{err})
	}
}
