package memstore

import (
	"context"
	"slices"
	"sync/atomic"
)

// subscription is one caller of Subscribe.
type subscription struct {
	fn        func([]byte)
	cancelled atomic.Bool
}

func (sub *subscription) call(payload []byte) {
	if !sub.cancelled.Load() {
		sub.fn(payload)
	}
}

// Publish implements store.Hinter. It calls channel's subscribers one after another in the order in which they
// subscribed, in the caller's goroutine, before it returns. Every subscriber gets a copy of payload that is not nil.
func (s *Store) Publish(ctx context.Context, channel string, payload []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, sub := range s.snapshot(channel) {
		sub.call(copyOf(payload))
	}
	return nil
}

// Subscribe implements store.Hinter. It calls fn(nil) once before it returns. A subscription costs no goroutine and no
// connection. cancel may be called more than once, also by a subscriber that is being called.
func (s *Store) Subscribe(channel string, fn func(payload []byte)) (cancel func()) {
	sub := &subscription{fn: fn}
	s.mu.Lock()
	// Appending in place leaves the snapshots that publishers hold as they are: each has its own length.
	s.subscribers[channel] = append(s.subscribers[channel], sub)
	s.mu.Unlock()
	sub.call(nil) // not before the subscription stands: what comes later is not missed
	return func() { s.unsubscribe(channel, sub) }
}

func (s *Store) unsubscribe(channel string, sub *subscription) {
	if sub.cancelled.Swap(true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.subscribers[channel], sub)
	rest := slices.Concat(s.subscribers[channel][:i], s.subscribers[channel][i+1:]) // a copy: see Subscribe
	if s.subscribers[channel] = rest; len(rest) == 0 {
		delete(s.subscribers, channel)
	}
}

func (s *Store) snapshot(channel string) []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listening(channel)
}

// listening returns channel's subscribers, which nobody will change; mu is held. The empty name is no channel.
func (s *Store) listening(channel string) []*subscription {
	if channel == "" {
		return nil
	}
	return s.subscribers[channel]
}
