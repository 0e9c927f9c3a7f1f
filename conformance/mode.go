package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// mode is a way to reach the five operations. A capability changes speed, never meaning: the same rules hold in each.
type mode struct {
	prefix  string // of the subtests' names
	applies func(inventory) bool
	wrap    func(store.Store) store.Store
}

func always(inventory) bool { return true }

func hasBatch(have inventory) bool { return have.caps.Batch != nil }

var (
	direct   = mode{"", always, func(s store.Store) store.Store { return s }}
	batched  = mode{"batch/", hasBatch, func(s store.Store) store.Store { return viaBatch{s} }}
	fallback = mode{"fallback/", always, func(s store.Store) store.Store { return viaBatch{struct{ store.Store }{s}} }}

	allModes = []mode{direct, batched, fallback}
)

// viaBatch does every operation as a batch of one; Keys has no place in a batch.
type viaBatch struct{ store.Store }

// Capabilities passes on what there is, so that batches of many operations take the same way.
func (v viaBatch) Capabilities() store.Capabilities { return store.CapabilitiesOf(v.Store) }

func (v viaBatch) one(ctx context.Context, op store.Op) store.Result {
	results := store.Batch(ctx, v.Store, []store.Op{op})
	if len(results) != 1 {
		return store.Result{Err: fmt.Errorf("a batch of 1 operation returned %d results", len(results))}
	}
	return results[0]
}

func (v viaBatch) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return v.one(ctx, store.SetEXOp(key, value, ttl)).Err
}

func (v viaBatch) Get(ctx context.Context, key string) ([]byte, error) {
	r := v.one(ctx, store.GetOp(key))
	return r.Value, r.Err
}

func (v viaBatch) Incr(ctx context.Context, key string) (int64, error) {
	r := v.one(ctx, store.IncrOp(key))
	return r.N, r.Err
}

func (v viaBatch) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	r := v.one(ctx, store.ExpireOp(key, ttl))
	return r.OK, r.Err
}
