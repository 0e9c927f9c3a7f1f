package redisstore

import (
	"context"
	"slices"
	"sync"
)

// hints is every subscription of a Store on one connection. While there is a subscription, a goroutine keeps the
// connection (see session.go) and another one reads from it and calls the subscribers.
type hints struct {
	link *link
	news *notices
	set  settings

	mu     sync.Mutex
	topics map[string][]*subscriber // replaced, never changed: the dispatcher reads a list without the lock
	dirty  map[string]struct{}      // channels about which the server has to be told
	stop   context.CancelFunc       // ends the running keeper; nil: none runs
	wake   chan struct{}            // of the running keeper: there is something dirty
	redo   chan struct{}            // of the running keeper: connect anew
	closed bool
	all    sync.WaitGroup
}

type subscriber struct{ fn func([]byte) }

func newHints(l *link, news *notices, set settings) *hints {
	return &hints{link: l, news: news, set: set, topics: map[string][]*subscriber{}, dirty: map[string]struct{}{}}
}

func (h *hints) subscribe(channel string, fn func([]byte)) (cancel func()) {
	sub := &subscriber{fn}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return func() {}
	}
	h.topics[channel] = append(slices.Clip(h.topics[channel]), sub)
	h.touch(channel) // also for the second subscriber: the confirmation is its first call
	if h.stop == nil {
		h.start()
	}
	return sync.OnceFunc(func() { h.cancel(channel, sub) })
}

func (h *hints) cancel(channel string, sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(h.topics[channel]), func(s *subscriber) bool { return s == sub })
	if len(rest) > 0 {
		h.topics[channel] = rest
		return
	}
	delete(h.topics, channel)
	h.touch(channel)
	if len(h.topics) == 0 {
		h.end()
	}
}

// touch, start and end are called with mu held.
func (h *hints) touch(channel string) {
	h.dirty[channel] = struct{}{}
	if h.wake != nil {
		poke(h.wake)
	}
}

func (h *hints) start() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.wake, h.redo = stop, make(chan struct{}, 1), make(chan struct{}, 1)
	wake, redo := h.wake, h.redo
	h.all.Go(func() { h.keep(ctx, wake, redo) })
}

func (h *hints) end() {
	if h.stop != nil {
		h.stop()
	}
	h.stop, h.wake, h.redo = nil, nil, nil
	clear(h.dirty)
}

func (h *hints) close() {
	h.mu.Lock()
	h.closed = true
	h.end()
	clear(h.topics)
	h.mu.Unlock()
	h.all.Wait()
}

// reconnect drops the connection and makes another one.
func (h *hints) reconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.redo != nil {
		poke(h.redo)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// changes takes what is dirty, by what the server has to be told. A keeper that was stopped takes nothing from the next.
func (h *hints) changes(ctx context.Context) (add, remove []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return nil, nil
	}
	for channel := range h.dirty {
		if _, ok := h.topics[channel]; ok {
			add = append(add, channel)
		} else {
			remove = append(remove, channel)
		}
	}
	clear(h.dirty)
	return add, remove
}

// everything takes all channels, for a connection that knows none.
func (h *hints) everything(ctx context.Context) (channels []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	for channel := range h.topics {
		channels = append(channels, channel)
	}
	clear(h.dirty)
	return channels
}

// missed tells the subscribers of channel that hints may have been missed.
func (h *hints) missed(channel string) {
	for _, s := range h.on(channel) {
		s.fn(nil)
	}
}

// deliver gives each subscriber of channel bytes of its own.
func (h *hints) deliver(channel, payload string) {
	for _, s := range h.on(channel) {
		s.fn([]byte(payload))
	}
}

func (h *hints) on(channel string) []*subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[channel]
}
