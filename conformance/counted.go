package conformance

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// counted counts the operations that a check does, to tell a slow driver from a broken one.
type counted struct {
	store.Store
	done *atomic.Int64
}

func (c counted) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	c.done.Add(1)
	return c.Store.SetEX(ctx, key, value, ttl)
}

func (c counted) Get(ctx context.Context, key string) ([]byte, error) {
	c.done.Add(1)
	return c.Store.Get(ctx, key)
}

func (c counted) Incr(ctx context.Context, key string) (int64, error) {
	c.done.Add(1)
	return c.Store.Incr(ctx, key)
}

func (c counted) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	c.done.Add(1)
	return c.Store.Expire(ctx, key, ttl)
}

func (c counted) Keys(ctx context.Context, prefix string) ([]string, error) {
	c.done.Add(1)
	return c.Store.Keys(ctx, prefix)
}

// Capabilities passes on what there is.
func (c counted) Capabilities() store.Capabilities {
	caps := store.CapabilitiesOf(c.Store)
	if caps.Batch != nil {
		caps.Batch = countedBatch{caps.Batch, c.done}
	}
	return caps
}

type countedBatch struct {
	store.Batcher
	done *atomic.Int64
}

func (c countedBatch) Batch(ctx context.Context, ops []store.Op) []store.Result {
	c.done.Add(int64(len(ops)))
	return c.Batcher.Batch(ctx, ops)
}
