package conformance

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// hints is a Hinter of two functions.
type hints struct {
	publish   func(ctx context.Context, channel string, payload []byte) error
	subscribe func(channel string, fn func([]byte)) func()
}

func (h *hints) Publish(ctx context.Context, channel string, payload []byte) error {
	return h.publish(ctx, channel, payload)
}

func (h *hints) Subscribe(channel string, fn func([]byte)) func() { return h.subscribe(channel, fn) }

func withHints(mutate func(good *memstore.Store, h *hints)) func(*broken) {
	return func(b *broken) {
		h := &hints{publish: b.good.Publish, subscribe: b.good.Subscribe}
		mutate(b.good, h)
		b.change(func(c *store.Capabilities) { c.Hints = h })
	}
}

// changedPublish changes what is published where; no channel means not at all.
func changedPublish(change func(channel string, payload []byte) (string, []byte)) func(*broken) {
	return withHints(func(good *memstore.Store, h *hints) {
		h.publish = func(ctx context.Context, channel string, payload []byte) error {
			channel, payload = change(channel, payload)
			return good.Publish(ctx, channel, payload)
		}
	})
}

// borrowed hands every subscriber the same slice.
func borrowed(copyOf func([]byte) []byte) func(*broken) {
	return withHints(func(good *memstore.Store, h *hints) {
		var shared []byte
		h.publish = func(ctx context.Context, channel string, payload []byte) error {
			shared = copyOf(payload)
			return good.Publish(ctx, channel, payload)
		}
		h.subscribe = func(channel string, fn func([]byte)) func() {
			return good.Subscribe(channel, func(payload []byte) {
				if payload != nil {
					payload = shared
				}
				fn(payload)
			})
		}
	})
}

var hintMutants = []mutant{
	{"there is no first nil", "subscribe-begins-with-nil", withHints(func(good *memstore.Store, h *hints) {
		h.subscribe = func(channel string, fn func([]byte)) func() {
			return good.Subscribe(channel, func(payload []byte) {
				if payload != nil {
					fn(payload)
				}
			})
		}
	})},
	{"only a channel's first subscriber is told", "subscribe-begins-with-nil", withHints(func(good *memstore.Store, h *hints) {
		var channels atomic.Int64
		h.subscribe = func(channel string, fn func([]byte)) func() {
			first := channels.Add(1) == 1
			return good.Subscribe(channel, func(payload []byte) {
				if payload != nil || first {
					fn(payload)
				}
			})
		}
	})},
	{"the first nil is empty instead", "subscribe-begins-with-nil", withHints(func(good *memstore.Store, h *hints) {
		h.subscribe = func(channel string, fn func([]byte)) func() {
			return good.Subscribe(channel, func(payload []byte) { fn(append([]byte{}, payload...)) })
		}
	})},
	{"long hints are cut", "hints-arrive", changedPublish(func(channel string, payload []byte) (string, []byte) {
		return channel, payload[:min(len(payload), 1024)]
	})},
	{"hints never arrive", "hints-arrive", changedPublish(func(string, []byte) (string, []byte) { return "", nil })},
	{"one of a channel's subscribers is served", "hints-arrive", withHints(func(good *memstore.Store, h *hints) {
		var served atomic.Int64
		h.publish = func(ctx context.Context, channel string, payload []byte) error {
			served.Store(0)
			return good.Publish(ctx, channel, payload)
		}
		h.subscribe = func(channel string, fn func([]byte)) func() {
			return good.Subscribe(channel, func(payload []byte) {
				if payload == nil || served.Add(1) == 1 {
					fn(payload)
				}
			})
		}
	})},
	{"everybody hears everything", "hints-stay-in-their-channel", withHints(func(good *memstore.Store, h *hints) {
		h.publish = func(ctx context.Context, _ string, payload []byte) error { return good.Publish(ctx, "*", payload) }
		h.subscribe = func(_ string, fn func([]byte)) func() { return good.Subscribe("*", fn) }
	})},
	{"channels ignore case", "hints-stay-in-their-channel", withHints(func(good *memstore.Store, h *hints) {
		h.publish = func(ctx context.Context, channel string, payload []byte) error {
			return good.Publish(ctx, strings.ToLower(channel), payload)
		}
		h.subscribe = func(channel string, fn func([]byte)) func() { return good.Subscribe(strings.ToLower(channel), fn) }
	})},
	{"cancel does nothing", "cancel-ends-a-subscription", withHints(func(good *memstore.Store, h *hints) {
		h.subscribe = func(channel string, fn func([]byte)) func() {
			good.Subscribe(channel, fn)
			return func() {}
		}
	})},
	{"cancel ends the channel", "cancel-ends-a-subscription", withHints(func(good *memstore.Store, h *hints) {
		var closed atomic.Bool
		h.subscribe = func(channel string, fn func([]byte)) func() {
			good.Subscribe(channel, func(payload []byte) {
				if payload == nil || !closed.Load() {
					fn(payload)
				}
			})
			return func() { closed.Store(true) }
		}
	})},
	{"there are a hundred channels", "a-client-has-many-channels", withHints(func(good *memstore.Store, h *hints) {
		var channels atomic.Int64
		h.subscribe = func(channel string, fn func([]byte)) func() {
			if channels.Add(1) > 100 {
				return func() {}
			}
			return good.Subscribe(channel, fn)
		}
	})},
	{"subscribers share a payload", "the-subscriber-owns-the-payload", borrowed(bytes.Clone)},
	{"subscribers get the publisher's slice", "the-subscriber-owns-the-payload", borrowed(func(b []byte) []byte { return b })},
	{"an ended context is a denial", "publish-returns-with-its-context", withHints(func(good *memstore.Store, h *hints) {
		h.publish = func(ctx context.Context, channel string, payload []byte) error {
			if ctx.Err() != nil {
				return store.ErrDenied
			}
			return good.Publish(ctx, channel, payload)
		}
	})},
}
