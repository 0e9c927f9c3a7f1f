package coord

import (
	"context"
	"sync"

	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// ackWriter writes the acknowledgements of all coordinators of the process, many in one trip when there are many. It
// has a goroutine only while it writes.
type ackWriter struct {
	client *Client
	begin  func() // the goroutine

	mu    sync.Mutex
	queue []owedAck
	busy  bool            // somebody writes
	until []chan struct{} // to be closed when nobody does any more

	ops []store.Op // of whoever set busy
}

type owedAck struct {
	coordinator *Coordinator
	delivery    *mailbox.Delivery
}

func (w *ackWriter) init(c *Client) {
	w.client = c
	w.begin = func() {
		defer c.background.Done()
		_ = w.write(c.life)
	}
}

// add has d's ACK written soon. It does not block.
func (w *ackWriter) add(a *Coordinator, d *mailbox.Delivery) {
	w.mu.Lock()
	w.queue = append(w.queue, owedAck{a, d})
	busy := w.busy
	w.busy = true
	w.mu.Unlock()
	switch {
	case busy:
	case w.client.enter():
		go w.begin() // joined by Close
	default:
		w.rest()
	}
}

// write empties the queue. What fails stays in it for the next poll: until then the signal is not consumed.
func (w *ackWriter) write(ctx context.Context) error {
	for {
		owed := w.take()
		if owed == nil {
			return nil
		}
		failed, err := w.writeAll(ctx, owed)
		if err != nil {
			w.mu.Lock()
			w.queue = append(failed, w.queue...)
			w.mu.Unlock()
			w.rest()
			w.client.poller.start()
			return err
		}
	}
}

// take returns the queue. Where it is empty the writer rests from that very moment on, so that whoever adds to it next
// starts another.
func (w *ackWriter) take() (owed []owedAck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.restLocked()
	}
	owed, w.queue = w.queue, nil
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

func (w *ackWriter) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restLocked()
}

func (w *ackWriter) restLocked() {
	w.busy = false
	for _, over := range w.until {
		close(over)
	}
	w.until = nil
}

// retry has what failed written again.
func (w *ackWriter) retry() {
	w.mu.Lock()
	again := len(w.queue) > 0 && !w.busy
	w.busy = w.busy || again
	w.mu.Unlock()
	if again {
		_ = w.write(w.client.life)
	}
}

func (w *ackWriter) owes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0
}

// flush returns when everything that was owed is written, or at the first failure.
func (w *ackWriter) flush(ctx context.Context) error {
	for {
		over, mine := w.join()
		if mine {
			return w.write(ctx)
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
