package redisstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	tripsAtOnce = 1   // more of them are smaller ones
	bulk        = 256 // so many commands travel alone: others would wait for their answers
)

// combiner lets the commands of callers that are busy at the same time travel together. Who finds nobody under way goes
// at once, alone, in his own goroutine; who comes during a trip waits, and leaves with all the others as the next one,
// which the first of them makes. There is no goroutine, no timer and no added latency while little happens.
type combiner struct {
	trip    func(context.Context, []redis.Cmder)
	timeout time.Duration

	mu    sync.Mutex
	under int          // trips under way
	queue []*passenger // of the next trip; empty while fewer than tripsAtOnce are under way
}

// passenger is a caller who waits for what to do.
type passenger struct {
	cmds     []redis.Cmder
	deadline time.Time    // zero: none
	group    []*passenger // where it leads: itself and the others
	turn     chan order
}

type order uint8

const (
	arrived order = iota // the commands have their outcomes
	lead                 // make the group's trip
	alone                // there is too little time left to travel with others
	missed               // the context ended before anything was sent
)

var passengers = sync.Pool{New: func() any { return &passenger{turn: make(chan order, 1)} }}

// takes reports whether cmds may travel with others.
func (c *combiner) takes(ctx context.Context, cmds []redis.Cmder) bool {
	if c == nil || len(cmds) > bulk {
		return false
	}
	at, ok := ctx.Deadline()
	return !ok || c.patient(at, time.Now())
}

// patient reports whether a trip that begins now may end at that deadline. Nobody's deadline ends anybody else's trip
// before half a timeout: who has less time than that goes alone.
func (c *combiner) patient(deadline, now time.Time) bool {
	return deadline.IsZero() || deadline.Sub(now) > c.timeout/2
}

// send returns when every command has its outcome, soon after ctx's deadline at the latest, or after two timeouts: one of
// the trip before and one of its own.
func (c *combiner) send(ctx context.Context, cmds []redis.Cmder) {
	c.mu.Lock()
	if c.under < tripsAtOnce {
		c.under++
		c.mu.Unlock()
		c.travel(ctx, c.timeout, cmds)
		c.next()
		return
	}
	p := passengers.Get().(*passenger)
	p.cmds = cmds
	p.deadline, _ = ctx.Deadline()
	c.queue = append(c.queue, p)
	c.mu.Unlock()
	c.obey(ctx, p)
	p.cmds, p.group = nil, nil
	passengers.Put(p)
}

func (c *combiner) obey(ctx context.Context, p *passenger) {
	switch c.await(ctx, p) {
	case lead:
		c.lead(ctx, p)
	case alone:
		c.travel(ctx, c.timeout, p.cmds)
	case missed:
		stamp(p.cmds, context.Cause(ctx))
	}
}

// await: who sits in a trip that is under way gets off at its end and not before.
func (c *combiner) await(ctx context.Context, p *passenger) order {
	select {
	case o := <-p.turn:
		return o
	case <-ctx.Done():
	}
	if c.withdraw(p) {
		return missed
	}
	return <-p.turn
}

func (c *combiner) withdraw(p *passenger) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, p)
	if i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
	return i >= 0
}

// lead makes the trip of the leader's group. The next trip may start before this one's passengers are told.
func (c *combiner) lead(ctx context.Context, leader *passenger) {
	limit, all := c.timeout, make([]redis.Cmder, 0, 2*len(leader.group))
	for _, p := range leader.group {
		all = append(all, p.cmds...)
		if !p.deadline.IsZero() {
			limit = min(limit, time.Until(p.deadline))
		}
	}
	c.travel(context.WithoutCancel(ctx), limit, all) // the leader's shut-down is not the others'
	c.next()
	for _, p := range leader.group {
		if p != leader {
			p.turn <- arrived
		}
	}
}

func (c *combiner) travel(ctx context.Context, limit time.Duration, cmds []redis.Cmder) {
	t := trip{Context: ctx, end: time.Now().Add(limit)}
	if at, ok := ctx.Deadline(); ok && at.Before(t.end) {
		t.end = at
	}
	c.trip(&t, cmds)
}

// trip is the context of a trip: a deadline, which is what ends it, and no timer.
type trip struct {
	context.Context
	end time.Time
}

// Deadline implements context.Context.
func (t *trip) Deadline() (time.Time, bool) { return t.end, true }

// Done implements context.Context. A trip that has begun is not broken off: its answers belong to others too.
func (t *trip) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (t *trip) Err() error { return nil }

// next sends off those who came meanwhile.
func (c *combiner) next() {
	c.mu.Lock()
	group, hasty := c.part(c.queue)
	c.queue = nil
	if len(group) == 0 {
		c.under--
	} else {
		group[0].group = group
	}
	c.mu.Unlock()
	for _, p := range hasty {
		p.turn <- alone
	}
	if len(group) > 0 {
		group[0].turn <- lead
	}
}

// part tells who may travel with others from who has to go alone.
func (c *combiner) part(queue []*passenger) (group, hasty []*passenger) {
	now := time.Now()
	for i, p := range queue {
		if c.patient(p.deadline, now) {
			continue
		}
		hasty = append(hasty, p)
		queue[i] = nil
	}
	if hasty != nil {
		queue = slices.DeleteFunc(queue, func(p *passenger) bool { return p == nil })
	}
	return queue, hasty
}
