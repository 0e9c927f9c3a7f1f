// Package coord is for programs that wait for one another, and must not wait for ever, miss a wakeup, believe a
// forgery, or lose the work of a partner that died.
//
// A coordinator sends a signed signal to another and blocks until it is acknowledged:
//
//	st, err := redisstore.Open(ctx, "redis://127.0.0.1:6379/0")
//	c, err := coord.Open(breaker.Wrap(st), coord.Config{Secret: key}) // one per process
//	defer c.Close()
//
//	a, err := c.Join(ctx, "coord-a") // a new incarnation, beating from the first moment
//	defer a.Leave(ctx)
//	ack, err := a.Send(ctx, "coord-b", "wake", []byte("go on"))
//
// and the other, in another process, perhaps not even started yet:
//
//	b, err := c.Join(ctx, "coord-b")
//	s, err := b.Wait(ctx, coord.OfType("wake"), coord.Within(10*time.Minute))
//
// What a Post or Send has confirmed is handed over once the receiver runs (S1), at most once to one incarnation of it
// (S2), as its sender wrote it (S3). The acknowledgement follows the hand-over (S4) and wakes the wait for that signal
// only (S5). A wait ends with a signal, at its timeout or with its context, and consumes nothing unless it returns it
// (W1, W4). State is in the store; hints only make it fast: with every hint lost, latency is Config.Poll.
//
// The protocol runs on five operations of a store.Store: Redis (store/redisstore), memory with a fake clock
// (store/memstore), or a driver of your own, proved by package conformance.
//
// A Client and its Coordinators may be used concurrently.
package coord

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// Client is one process's part in a namespace: one subscription, one heartbeat batch and one poll for all of its
// coordinators. It has no goroutine while nothing happens.
type Client struct {
	*resolved
	observers
	store store.Store // through the breaker, where there is one
	once  store.Store // one attempt, past the breaker
	hints store.Hinter
	desk  *work.Desk

	mu      sync.Mutex
	members []*Coordinator // in the order in which they joined
	closed  bool
	unwatch func()

	life context.Context // of everything in the background
	end  func()

	generation  atomic.Pointer[string]
	renewed     atomic.Int64 // when generation last changed, in Unix nanoseconds
	losses      atomic.Int64 // how often the store was found to have lost something
	recovering  atomic.Bool
	unrecovered atomic.Bool
	beater      ticker
	poller      ticker
	acks        ackWriter
	background  sync.WaitGroup
}

// Open makes the Client of this process. It does no I/O, so it does not fail while the store is down. The caller
// composes the store, usually coord.Open(breaker.Wrap(driver), cfg), and closes the driver after the Client. Errors
// wrap ErrInvalidConfig.
func Open(st store.Store, cfg Config) (*Client, error) {
	if st == nil {
		return nil, fmt.Errorf("%w: no store", ErrInvalidConfig)
	}
	r, err := cfg.resolve(st)
	if err != nil {
		return nil, err
	}
	caps := store.CapabilitiesOf(st)
	c := &Client{
		resolved: r, observers: observers{cfg.Observer, cfg.Logger},
		store: st, once: caps.Once, hints: caps.Hints,
	}
	if c.once == nil {
		c.once = st
	}
	life, end := context.WithCancelCause(context.Background())
	c.life, c.end = life, func() { end(ErrClosed) }
	c.beater = ticker{client: c, every: r.Policy.Beat, tick: c.beat, again: c.worthBeating}
	c.poller = ticker{client: c, every: r.Poll, tick: c.poll, again: c.worthPolling}
	c.acks.init(c)
	c.desk = &work.Desk{
		Store: st, Space: r.space, Ring: r.ring, Times: work.DefaultTimes,
		Now: r.Clock.Now, By: newID(), Pause: c.jitter,
	}
	if caps.Notices != nil {
		c.unwatch = caps.Notices.Notify(c.notice)
	}
	return c, nil
}

// closeGrace is how long Close tries to leave in good order.
const closeGrace = 5 * time.Second

// Close leaves with every coordinator that has not left, for at most five seconds in all, and ends what the Client runs.
// A coordinator that could not leave in that time looks to others as if it had crashed. The store stays open.
func (c *Client) Close() error {
	err := c.leaveAll()
	c.mu.Lock()
	c.closed = true
	late := append([]*Coordinator(nil), c.members...)
	c.mu.Unlock()
	for _, a := range late {
		a.close(ErrClosed)
	}
	c.end()
	c.beater.stop()
	c.poller.stop()
	c.acks.stop()
	if c.unwatch != nil {
		c.unwatch()
	}
	c.background.Wait()
	return err
}

func (c *Client) leaveAll() error {
	ctx, cancel := context.WithTimeout(c.life, closeGrace)
	defer cancel()
	members := c.everybody()
	errs := make([]error, len(members))
	inParallel(len(members), func(i int) { errs[i] = members[i].Leave(ctx) })
	return errors.Join(errs...)
}

// Ping asks the store for something and reports whether it answered, in one attempt.
func (c *Client) Ping(ctx context.Context) error {
	results := store.Batch(ctx, c.once, []store.Op{store.GetOp(c.space.Generation())})
	return store.FirstError(results)
}

// run runs f in the background; Close waits for it. False after Close.
func (c *Client) run(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.background.Go(f)
	return true
}

func (c *Client) add(a *Coordinator) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.members = append(c.members, a)
	return nil
}

func (c *Client) remove(a *Coordinator) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.members {
		if m == a {
			c.members = append(c.members[:i:i], c.members[i+1:]...)
			return
		}
	}
}

func (c *Client) everybody() []*Coordinator {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Coordinator(nil), c.members...)
}

func (c *Client) post(st store.Store) mailbox.Post {
	return mailbox.Post{Store: st, Space: c.space, Ring: c.ring, Times: c.times, Now: c.now}
}

// checkID checks what users name: coordinators and types.
func checkID(what, id string) error {
	if err := keys.CheckID(id); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// newID is 128 random bits in 26 characters.
func newID() string { return rand.Text() }

const atOnce = 64 // of what inParallel does

// inParallel calls f with 0 to n-1, a few at once, and returns when all calls have.
func inParallel(n int, f func(i int)) {
	var all sync.WaitGroup
	for first := range min(n, atOnce) {
		all.Go(func() {
			for i := first; i < n; i += atOnce {
				f(i)
			}
		})
	}
	all.Wait()
}
