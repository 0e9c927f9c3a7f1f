package coord

import (
	"errors"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// enter keeps Close from returning until background.Done is called; false after Close.
func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.background.Add(1)
	}
	return !c.closed
}

// worthPolling reports whether anybody in this process waits for something.
func (c *Client) worthPolling() bool {
	for _, a := range c.everybody() {
		if a.turns.interested() || a.work.interested() || len(a.out.all()) > 0 {
			return true
		}
	}
	return c.acks.owes()
}

// question is one read of a poll and what is done with its answer.
type question struct {
	key    string
	answer func(value []byte) // nil where the key is absent
}

// poll looks at everything that somebody waits for, in one batch for the whole process: with every hint lost, this is
// what finds it (W5).
func (c *Client) poll() {
	c.acks.retry()
	questions := c.questions()
	ops := make([]store.Op, len(questions))
	for i, q := range questions {
		ops[i] = store.GetOp(q.key)
	}
	results := store.Batch(c.life, c.store, ops)
	for i, q := range questions {
		if err := results[i].Err; err == nil {
			q.answer(results[i].Value)
		} else if errors.Is(err, store.ErrNotFound) {
			q.answer(nil)
		}
	}
}

// questions begins with the store's generation: whoever reads on must know that it is the same store.
func (c *Client) questions() []question {
	all := []question{{c.space.Generation(), c.checkGeneration}}
	for _, a := range c.everybody() {
		if a.turns.interested() {
			all = append(all, question{a.turns.box.TailKey(), a.turns.polled})
			if key := a.turns.box.LegacyKey(); key != "" {
				all = append(all, question{key, a.turns.polledLegacy})
			}
		}
		all = append(all, a.work.questions()...)
		for _, o := range a.out.due(c.Clock.Now()) {
			all = append(all, question{c.space.Ack(a.id, o.signal.ID), func(value []byte) { a.out.polled(o, value) }})
		}
	}
	return all
}

// polled takes in what stands where o's ACK is to stand.
func (b *outbox) polled(o *outgoing, value []byte) {
	if value != nil {
		b.answered(o, value)
	}
}

// notice translates what the store and the breaker report.
func (c *Client) notice(n store.Notice) {
	switch n.Kind {
	case store.NoticeFailure:
		c.emit(StoreFailed{n.Err})
	case store.NoticeRetry:
		c.emit(StoreRetry{n.Attempt, n.Delay, n.Err})
	case store.NoticeRestored:
		c.emit(StoreRestored{})
	case store.NoticeOpen:
		c.emit(BreakerState{"open"})
	case store.NoticeHalfOpen:
		c.emit(BreakerState{"half-open"})
	case store.NoticeClosed:
		c.emit(BreakerState{"closed"})
	case store.NoticeRegressed:
		c.run(func() { c.regressed(n.Err) })
	}
}

// open reads a sealed generation; "" where it is not a true one.
func (c *Client) openGeneration(value []byte) string {
	g, err := envelope.OpenJSON[generation](c.ring, envelope.KindGeneration, value)
	if err != nil {
		return ""
	}
	return g.Generation
}
