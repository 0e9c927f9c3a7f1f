package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// raceMutants go wrong only where two things happen at once.
var raceMutants = []mutant{
	{"Expire reads, then writes back", "concurrent-incr-is-distinct", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			value, err := b.good.Get(ctx, key)
			if err != nil || ttl <= 0 {
				return b.good.Expire(ctx, key, ttl)
			}
			interrupt()
			err = b.good.SetEX(ctx, key, value, ttl)
			return err == nil, err
		}
	}},
	{"a counter is gone while it is incremented", "concurrent-incr-is-distinct", func(b *broken) {
		var one sync.Mutex
		b.incr = func(ctx context.Context, key string) (int64, error) {
			one.Lock()
			defer one.Unlock()
			b.remember(key, []byte("under way"))
			interrupt()
			n, err := b.good.Incr(ctx, key)
			b.remember(key, nil)
			return n, err
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			if gone, _ := b.recall(key); gone != nil && ctx.Err() == nil {
				return nil, store.ErrNotFound
			}
			return b.good.Get(ctx, key)
		}
	}},
	{"Incr undoes a deletion", "a-race-has-an-order", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			before, err := b.good.Get(ctx, key)
			interrupt()
			if err == nil && !b.has(ctx, key) {
				_ = b.good.SetEX(ctx, key, before, forever)
			}
			return b.good.Incr(ctx, key)
		}
	}},
	{"a batch goes key by key", "a-batch-keeps-order-across-keys", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			order := make([]int, len(ops))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(i, j int) int { return strings.Compare(ops[j].Key, ops[i].Key) })
			results := make([]store.Result, len(ops))
			for n, i := range order {
				if n > 0 && ops[i].Key != ops[order[n-1]].Key {
					interrupt()
				}
				results[i] = good(ctx, ops[i:i+1])[0]
			}
			return results
		}
	})},
	{"Append has a lock of its own", "concurrent-appends-are-distinct", withAppend(lockedAppend)},
}

// lockedAppend excludes other Appends of this client, and nothing else.
func lockedAppend(b *broken) appendFunc {
	var one sync.Mutex
	return func(ctx context.Context, a store.Append) (int64, error) {
		one.Lock()
		defer one.Unlock()
		value, err := b.good.Get(ctx, a.Tail)
		n, bad := strconv.ParseInt(string(value), 10, 64)
		if missing := errors.Is(err, store.ErrNotFound); !missing && (err != nil || bad != nil) || a.TTL <= 0 {
			return b.good.Append(ctx, a) // which refuses
		}
		interrupt()
		err = b.good.SetEX(ctx, fmt.Sprint(a.Entry, n+1), a.Value, a.TTL)
		err = errors.Join(err, b.good.SetEX(ctx, a.Tail, strconv.AppendInt(nil, n+1, 10), a.TailTTL))
		if a.Channel != "" {
			_ = b.good.Publish(ctx, a.Channel, store.AppendHint(n+1, a.Value))
		}
		return n + 1, err
	}
}

// clientMutants go wrong only where two clients share the data.
var clientMutants = []mutant{
	{"each client has a lock for Append", "append-is-atomic", perClient(func(b *broken) {
		var one sync.Mutex
		b.change(func(c *store.Capabilities) {
			c.Append = appendFunc(func(ctx context.Context, a store.Append) (int64, error) {
				if a.TTL <= 0 {
					return b.good.Append(ctx, a)
				}
				one.Lock()
				defer one.Unlock()
				n, err := b.good.Incr(ctx, a.Tail)
				interrupt()
				if err != nil {
					return n, err
				}
				_, _ = b.good.Expire(ctx, a.Tail, a.TailTTL)
				if a.Channel != "" {
					_ = b.good.Publish(ctx, a.Channel, store.AppendHint(n, a.Value))
				}
				return n, b.good.SetEX(ctx, fmt.Sprint(a.Entry, n), a.Value, a.TTL)
			})
		})
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			one.Lock()
			defer one.Unlock()
			return b.good.Get(ctx, key)
		}
	})},
	{"each client has a lock for deletions", "one-delete-succeeds", perClient(func(b *broken) {
		var one sync.Mutex
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			one.Lock()
			defer one.Unlock()
			there := b.has(ctx, key)
			interrupt()
			_, err := b.good.Expire(ctx, key, ttl)
			return there && err == nil, err
		}
	})},
	{"each client has an index", "clients-share-an-index", perClient(func(b *broken) {
		own := memstore.New(memstore.WithClock(b.clock))
		b.change(func(c *store.Capabilities) { c.Late = own })
	})},
}
