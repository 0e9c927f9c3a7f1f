package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// noting is a store that notes which operation failed last, for a trial that ends with no more than its error.
type noting struct {
	store.Store
	told *string
}

func (t noting) note(what, key string, ttl time.Duration, err error) error {
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errors.ErrUnsupported) {
		*t.told = fmt.Sprintf("%s of %q for %v: %v", what, key, ttl, err)
	}
	return err
}

func (t noting) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return t.note("SetEX", key, ttl, t.Store.SetEX(ctx, key, value, ttl))
}

func (t noting) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := t.Store.Get(ctx, key)
	return value, t.note("Get", key, 0, err)
}

func (t noting) Incr(ctx context.Context, key string) (int64, error) {
	n, err := t.Store.Incr(ctx, key)
	return n, t.note("Incr", key, 0, err)
}

func (t noting) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	ok, err := t.Store.Expire(ctx, key, ttl)
	return ok, t.note("Expire", key, ttl, err)
}

func (t noting) Keys(ctx context.Context, prefix string) ([]string, error) {
	keys, err := t.Store.Keys(ctx, prefix)
	return keys, t.note("Keys", prefix, 0, err)
}

// Capabilities passes on what there is.
func (t noting) Capabilities() store.Capabilities {
	caps := store.CapabilitiesOf(t.Store)
	if caps.Batch != nil {
		caps.Batch = notingBatch{caps.Batch, t}
	}
	if caps.Append != nil {
		caps.Append = notingAppend{caps.Append, t}
	}
	return caps
}

type notingBatch struct {
	store.Batcher
	noting noting
}

func (t notingBatch) Batch(ctx context.Context, ops []store.Op) []store.Result {
	results := t.Batcher.Batch(ctx, ops)
	for i := range min(len(ops), len(results)) {
		_ = t.noting.note(fmt.Sprint("operation ", i, " of a batch"), ops[i].Key, ops[i].TTL, results[i].Err)
	}
	return results
}

type notingAppend struct {
	store.Appender
	noting noting
}

func (t notingAppend) Append(ctx context.Context, a store.Append) (int64, error) {
	n, err := t.Appender.Append(ctx, a)
	return n, t.noting.note(fmt.Sprintf("Append to %q", a.Tail), a.Entry, max(a.TTL, a.TailTTL), err)
}
