package coord

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
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
// of others makes the living silent (B6).
func (c *Client) beat() {
	for batch := range slices.Chunk(c.joined(), beatsAtOnce) {
		ctx, cancel := context.WithTimeout(c.life, c.Policy.Beat)
		c.beatAll(ctx, batch)
		cancel()
	}
}

// worthBeating reports whether anybody is joined.
func (c *Client) worthBeating() bool { return len(c.joined()) > 0 }

func (c *Client) joined() []*Coordinator {
	return slices.DeleteFunc(c.everybody(), func(a *Coordinator) bool { return a.guest || a.leaving.Load() })
}

func (c *Client) beatAll(ctx context.Context, batch []*Coordinator) {
	sent := c.Clock.Now()
	ops := []store.Op{store.GetOp(c.space.Generation())}
	for _, a := range batch {
		ops = append(ops, a.beatOp(sent))
	}
	doubtful := slices.DeleteFunc(slices.Clone(batch), func(a *Coordinator) bool { return !a.pulse.doubtful(sent, c.Policy) })
	for _, a := range doubtful {
		ops = append(ops, store.GetOp(c.space.Dead(a.id, a.me.Incarnation).Decision()))
	}
	results := store.Batch(ctx, c.once, ops)
	for i, a := range doubtful {
		if dead := results[1+len(batch)+i]; dead.Err == nil && !a.leaving.Load() && a.declaredDead(ctx) {
			a.fence() // D5: whatever became of the beat
		}
	}
	for i, a := range batch {
		if !a.over.Load() {
			a.beaten(ctx, sent, results[1+i].Err)
		}
	}
	if store.FirstError(results[:1]) == nil && c.lost(results[0].Value) {
		c.run(func() { c.regressed(errLost) }) // B6: it uses the store at length, and beats do not wait for that
	}
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
	op := a.beatOp(sent)
	err := c.store.SetEX(ctx, op.Key, op.Value, op.TTL)
	a.pulse.refreshed = sent
	a.beaten(ctx, sent, err)
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
	})
	return store.SetEXOp(c.space.Heartbeat(a.id), sealed, c.Policy.TTL)
}

// beaten draws the consequences of one beat.
func (a *Coordinator) beaten(ctx context.Context, sent time.Time, err error) {
	a.client.emit(Beat{a.id, a.me.Incarnation, err})
	if err != nil {
		a.missed()
		return
	}
	p := &a.pulse
	p.mu.Lock()
	silent, failing, suspended := sent.Sub(p.good), p.failing, p.suspended
	lapsed := !suspended && !p.good.IsZero() && silent >= a.client.Policy.TTL // we were stopped, and nobody could tell us
	p.good, p.failing, p.suspended = sent, false, false
	refresh := sent.Sub(p.refreshed) > keepAlive
	if refresh {
		p.refreshed = sent
	}
	p.mu.Unlock()
	if failing {
		a.client.emit(HeartbeatResumed{a.id, silent})
	}
	if lapsed {
		a.suspend()
	}
	if suspended || lapsed {
		a.client.emit(Resumed{a.id, a.me.Incarnation})
		a.work.resumeAll()
	}
	if refresh {
		a.refresh(ctx)
	}
}

// missed: D6, suspended no later than one TTL after the last good beat was sent. The next look may be two beats away: one
// that waits for its deadline, and the pause after it.
func (a *Coordinator) missed() {
	p := &a.pulse
	p.mu.Lock()
	p.failing = true
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

// Suspended returns ErrSuspended if no heartbeat has reached the store for one TTL: others may believe that this
// incarnation is dead, so it should not act in the outside world until the next good beat. Else nil.
func (a *Coordinator) Suspended() error {
	a.pulse.mu.Lock()
	defer a.pulse.mu.Unlock()
	if a.pulse.suspended || a.client.Clock.Now().Sub(a.pulse.good) >= a.client.Policy.TTL {
		return ErrSuspended
	}
	return nil
}

// refresh keeps alive, for as long as its owner lives, what must outlive the owner by thirty days.
func (a *Coordinator) refresh(ctx context.Context) {
	c := a.client
	results := store.Batch(ctx, c.once, []store.Op{
		store.ExpireOp(c.space.Incarnation(a.id), counterTTL),
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
	if err != nil {
		c.emit(StoreFailed{err})
	}
}
