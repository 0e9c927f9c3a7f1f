package redisstore

import (
	"context"
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

// passenger is a caller who waits. Its channel says either that its commands have their answers, or that it leads.
type passenger struct {
	cmds  []redis.Cmder
	group []*passenger // where it leads: itself and the others
	turn  chan bool    // true: lead
}

var passengers = sync.Pool{New: func() any { return &passenger{turn: make(chan bool, 1)} }}

// takes reports whether cmds may travel with others. Who has less time than a trip may take goes alone: nobody's
// deadline ends anybody else's trip.
func (c *combiner) takes(ctx context.Context, cmds []redis.Cmder) bool {
	if c == nil || len(cmds) > bulk {
		return false
	}
	at, ok := ctx.Deadline()
	return !ok || time.Until(at) > 2*c.timeout
}

// send returns when every command has its outcome: after two timeouts at the latest, one of the trip before and one of
// its own.
func (c *combiner) send(ctx context.Context, cmds []redis.Cmder) {
	c.mu.Lock()
	if c.under < tripsAtOnce {
		c.under++
		c.mu.Unlock()
		c.travel(ctx, cmds)
		c.next()
		return
	}
	p := passengers.Get().(*passenger)
	p.cmds = cmds
	c.queue = append(c.queue, p)
	c.mu.Unlock()
	if lead := <-p.turn; lead {
		c.lead(ctx, p)
	}
	p.cmds, p.group = nil, nil
	passengers.Put(p)
}

// lead makes the trip of the leader's group. The next trip may start before this one's passengers are told.
func (c *combiner) lead(ctx context.Context, leader *passenger) {
	all := make([]redis.Cmder, 0, 2*len(leader.group))
	for _, p := range leader.group {
		all = append(all, p.cmds...)
	}
	c.travel(context.WithoutCancel(ctx), all) // the leader's shut-down is not the others'
	c.next()
	for _, p := range leader.group {
		if p != leader {
			p.turn <- false
		}
	}
}

func (c *combiner) travel(ctx context.Context, cmds []redis.Cmder) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.trip(ctx, cmds)
}

// next sends off those who came meanwhile.
func (c *combiner) next() {
	c.mu.Lock()
	group := c.queue
	c.queue = nil
	if len(group) == 0 {
		c.under--
	}
	c.mu.Unlock()
	if len(group) > 0 {
		group[0].group = group
		group[0].turn <- true
	}
}
