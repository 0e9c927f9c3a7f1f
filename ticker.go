package coord

import (
	"context"
	"sync"
	"time"
)

// ticker calls tick again and again, one call at a time. Between two calls it has a timer and no goroutine.
type ticker struct {
	client *Client
	every  time.Duration
	tick   func()
	again  func() bool // whether there is a reason to go on; asked with the ticker's lock held

	mu     sync.Mutex
	on     bool
	closed bool
	halt   func() bool
}

// start begins to tick, `every` from now, unless it ticks already. Whoever gives it a reason to go on calls start after
// that, so no reason is overlooked.
func (t *ticker) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on && !t.closed {
		t.on = true
		t.halt = t.client.Clock.AfterFunc(t.every, t.fire)
	}
}

func (t *ticker) fire() {
	if !t.client.enter() {
		return
	}
	defer t.client.background.Done()
	began := t.client.Clock.Now()
	t.tick()
	took := t.client.Clock.Now().Sub(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on = t.again() && !t.closed; t.on {
		t.halt = t.client.Clock.AfterFunc(max(t.every-took, t.every/10), t.fire)
	}
}

// stop ends the ticking for good; a tick under way goes on.
func (t *ticker) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.halt != nil {
		t.halt()
	}
}

// pause returns after d, or false as soon as ctx ends.
func (c *Client) pause(ctx context.Context, d time.Duration) bool {
	over := make(chan struct{})
	stop := c.Clock.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}
