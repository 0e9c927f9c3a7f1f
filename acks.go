package coord

import (
	"context"
	"sync"

	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// ackWriter writes the acknowledgements of all coordinators of the process, many in one trip when there are many. It
// has a goroutine while there are some to write and for a poll or two after that: to make one for every signal, with a
// stack that has to grow, costs more than the signal.
type ackWriter struct {
	client *Client
	begin  func() // the goroutine

	mu     sync.Mutex
	queue  []owedAck
	busy   bool            // somebody writes
	until  []chan struct{} // to be closed when nobody does any more
	parked bool            // the goroutine waits for what to do
	wake   chan bool       // what it waits for: true to write, false to end
	used   bool            // since the last poll
	closed bool

	ops  []store.Op // of whoever set busy
	last []owedAck  // what take returned, to be the queue after the next
}

type owedAck struct {
	coordinator *Coordinator
	delivery    *mailbox.Delivery
}

func (w *ackWriter) init(c *Client) {
	w.client, w.wake = c, make(chan bool, 1)
	w.begin = func() {
		defer c.background.Done()
		for more := true; more; more = <-w.wake {
			_ = w.write(c.life, true)
		}
	}
}

// add has d's ACK written soon. It does not block.
func (w *ackWriter) add(a *Coordinator, d *mailbox.Delivery) {
	w.mu.Lock()
	w.queue = append(w.queue, owedAck{a, d})
	busy, parked := w.busy, w.parked
	w.busy, w.used = true, true
	w.parked = parked && busy
	w.mu.Unlock()
	switch {
	case busy:
	case parked:
		w.wake <- true
	case w.client.enter():
		go w.begin() // joined by Close
		w.client.poller.start()
	default:
		w.rest(false)
	}
}

// write empties the queue. What fails stays in it for the next poll: until then the signal is not consumed. park is for
// the goroutine.
func (w *ackWriter) write(ctx context.Context, park bool) error {
	for {
		owed := w.take(park)
		if len(owed) == 0 {
			return nil
		}
		failed, err := w.writeAll(ctx, owed)
		clear(owed)
		if err != nil {
			w.mu.Lock()
			w.queue = append(failed, w.queue...)
			w.mu.Unlock()
			w.rest(park)
			w.client.poller.start()
			return err
		}
	}
}

// take returns the queue. Where it is empty the writer rests from that very moment on, so that whoever adds to it next
// starts another.
func (w *ackWriter) take(park bool) (owed []owedAck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.restLocked(park)
	}
	owed, w.queue = w.queue, w.last[:0]
	w.last = owed
	return owed
}

func (w *ackWriter) writeAll(ctx context.Context, owed []owedAck) (failed []owedAck, err error) {
	ops := w.ops[:0]
	for _, o := range owed {
		ops = o.coordinator.turns.box.AckOps(ops, o.delivery)
	}
	results := store.Batch(ctx, w.client.store, ops)
	for i, o := range owed {
		if e := store.FirstError(results[2*i : 2*i+2]); e != nil {
			failed, err = append(failed, o), e
			continue
		}
		o.coordinator.turns.confirm(o.delivery)
	}
	clear(ops)
	w.ops = ops
	return failed, err
}

func (w *ackWriter) rest(park bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restLocked(park)
}

func (w *ackWriter) restLocked(park bool) {
	w.busy = false
	switch {
	case park && w.closed:
		w.wake <- false
	case park:
		w.parked = true
	}
	for _, over := range w.until {
		close(over)
	}
	w.until = nil
}

// retry has what failed written again. A poll calls it: a goroutine that had nothing to do since the last one ends.
func (w *ackWriter) retry() {
	w.mu.Lock()
	again := len(w.queue) > 0 && !w.busy
	w.busy = w.busy || again
	if !w.used {
		w.dismiss()
	}
	w.used = false
	w.mu.Unlock()
	if again {
		_ = w.write(w.client.life, false)
	}
}

// dismiss is called with the lock held.
func (w *ackWriter) dismiss() {
	if w.parked {
		w.parked = false
		w.wake <- false
	}
}

// stop ends the goroutine as soon as it has nothing to do.
func (w *ackWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.dismiss()
}

// owes reports whether there is a reason to poll.
func (w *ackWriter) owes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0 || w.parked
}

// flush returns when everything that was owed is written, or at the first failure.
func (w *ackWriter) flush(ctx context.Context) error {
	for {
		over, mine := w.join()
		if mine {
			return w.write(ctx, false)
		}
		if over == nil {
			return nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join makes the caller the writer where there is something to write, or tells it when somebody else has done so.
func (w *ackWriter) join() (over chan struct{}, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy {
		over = make(chan struct{})
		w.until = append(w.until, over)
		return over, false
	}
	w.busy = len(w.queue) > 0
	return nil, w.busy
}
