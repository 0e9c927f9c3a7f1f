package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/blocking-coordination/coord/store"
)

type appendFunc func(ctx context.Context, a store.Append) (int64, error)

func (f appendFunc) Append(ctx context.Context, a store.Append) (int64, error) { return f(ctx, a) }

func withAppend(mutate func(b *broken) appendFunc) func(*broken) {
	return func(b *broken) { b.change(func(c *store.Capabilities) { c.Append = mutate(b) }) }
}

// changedAppend changes what is appended.
func changedAppend(change func(*store.Append)) func(*broken) {
	return withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			change(&a)
			return b.good.Append(ctx, a)
		}
	})
}

var appendMutants = []mutant{
	{"Append is unsupported once it has a ticket", "an-unsupported-append-does-nothing", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			_, err := b.good.Incr(ctx, a.Tail)
			return 0, errors.Join(err, errors.ErrUnsupported)
		}
	})},
	{"Append leaves a tail without a ttl as it is", "append-sets-both-ttls", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			if n == 1 {
				b.remember(key, []byte("immortal"))
			}
			return n, err
		}
		withAppend(func(b *broken) appendFunc {
			return func(ctx context.Context, a store.Append) (int64, error) {
				if immortal, _ := b.recall(a.Tail); immortal != nil && b.has(ctx, a.Tail) {
					a.TailTTL = forever
				}
				return b.good.Append(ctx, a)
			}
		})(b)
	}},
	{"entries are padded", "append-takes-a-ticket", changedAppend(func(a *store.Append) { a.Entry += "0" })},
	{"an empty entry is not written", "append-takes-a-ticket", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			if len(a.Value) == 0 {
				return b.good.Incr(ctx, a.Tail)
			}
			return b.good.Append(ctx, a)
		}
	})},
	{"the tail takes the entry's ttl", "append-sets-both-ttls", changedAppend(func(a *store.Append) { a.TailTTL = a.TTL })},
	{"the entry takes the tail's ttl", "append-sets-both-ttls", changedAppend(func(a *store.Append) {
		a.TTL = min(a.TTL, 1) * a.TailTTL
	})},
	{"the tail is not refreshed", "append-sets-both-ttls", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			n, err := b.good.Incr(ctx, a.Tail)
			if n == 1 {
				_, _ = b.good.Expire(ctx, a.Tail, a.TailTTL)
			}
			return n, errors.Join(err, b.good.SetEX(ctx, fmt.Sprint(a.Entry, n), a.Value, a.TTL))
		}
	})},
	{"the counter shows before the entry", "append-is-atomic", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			n, err := b.good.Incr(ctx, a.Tail)
			interrupt()
			return n, errors.Join(err, b.good.SetEX(ctx, fmt.Sprint(a.Entry, n), a.Value, a.TTL))
		}
	})},
	{"tickets are read, then written", "concurrent-appends-are-distinct", withAppend(func(b *broken) appendFunc {
		incr := racyIncr(b)
		return func(ctx context.Context, a store.Append) (int64, error) {
			n, err := incr(ctx, a.Tail)
			return n, errors.Join(err, b.good.SetEX(ctx, fmt.Sprint(a.Entry, n), a.Value, a.TTL))
		}
	})},
	{"the ticket is taken before the ttl is refused", "append-is-all-or-nothing", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			if a.TTL <= 0 {
				_, _ = b.good.Incr(ctx, a.Tail)
			}
			return b.good.Append(ctx, a)
		}
	})},
	{"Append keeps the caller's slice", "append-keeps-no-reference", func(b *broken) {
		b.change(func(c *store.Capabilities) {
			c.Append = appendFunc(func(ctx context.Context, a store.Append) (int64, error) {
				n, err := b.good.Append(ctx, a)
				b.remember(fmt.Sprint(a.Entry, n), a.Value)
				return n, err
			})
		})
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if mine, ok := b.recall(key); ok && err == nil {
				return bytes.Clone(mine), nil
			}
			return value, err
		}
	}},
	{"Append does not hint", "append-hints", changedAppend(func(a *store.Append) { a.Channel = "" })},
	{"Append hints without the entry", "append-hints", withAppend(func(b *broken) appendFunc {
		return func(ctx context.Context, a store.Append) (int64, error) {
			channel := a.Channel
			a.Channel = ""
			n, err := b.good.Append(ctx, a)
			_ = b.good.Publish(ctx, channel, store.AppendHint(n, nil))
			return n, err
		}
	})},
}
