package conformance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/store"
)

type batchFunc func(ctx context.Context, ops []store.Op) []store.Result

func (f batchFunc) Batch(ctx context.Context, ops []store.Op) []store.Result { return f(ctx, ops) }

// withBatch gives the store a Batch that mutate makes of a good one.
func withBatch(mutate func(good batchFunc) batchFunc) func(*broken) {
	return func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Batch = mutate(b.good.Batch) })
	}
}

// oneByOne does each operation by f, which has the good batch to call.
func oneByOne(f func(good batchFunc, ctx context.Context, op store.Op) store.Result) func(*broken) {
	return withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) (results []store.Result) {
			for _, op := range ops {
				results = append(results, f(good, ctx, op))
			}
			return results
		}
	})
}

var batchMutants = []mutant{
	{"the values of a batch stand in one buffer", "batch-keeps-no-reference", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := good(ctx, ops)
			var buffer []byte
			for _, r := range results {
				buffer = append(buffer, r.Value...)
			}
			for i, r := range results {
				results[i].Value, buffer = buffer[:len(r.Value)], buffer[len(r.Value):]
			}
			return results
		}
	})},
	{"a batch writes into its operations", "batch-keeps-no-reference", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := good(ctx, ops)
			for i := range ops {
				ops[i].TTL = 0
			}
			return results
		}
	})},
	{"results come in another order", "batch-answers-each-operation", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := good(ctx, ops)
			slices.Reverse(results)
			return results
		}
	})},
	{"writes have no result", "batch-answers-each-operation", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) (results []store.Result) {
			for i, r := range good(ctx, ops) {
				if ops[i].Kind != store.OpSetEX {
					results = append(results, r)
				}
			}
			return results
		}
	})},
	{"reads come first", "batch-keeps-the-order", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := make([]store.Result, len(ops))
			for _, reads := range []bool{true, false} {
				for i, op := range ops {
					if (op.Kind == store.OpGet) == reads {
						results[i] = good(ctx, ops[i:i+1])[0]
					}
				}
			}
			return results
		}
	})},
	{"a batch stops at a permanent error", "batch-goes-on-after-a-permanent-error", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := make([]store.Result, len(ops))
			for i := range ops {
				if results[i] = good(ctx, ops[i:i+1])[0]; results[i].Err != nil {
					break
				}
			}
			return results
		}
	})},
	{"a permanent error is everybody's", "batch-goes-on-after-a-permanent-error", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := good(ctx, ops)
			if err := store.FirstError(results); err != nil {
				for i := range results {
					results[i].Err = err
				}
			}
			return results
		}
	})},
	{"publishing fails", "batch-publish-never-fails", oneByOne(func(good batchFunc, ctx context.Context, op store.Op) store.Result {
		if op.Kind == store.OpPublish {
			return store.Result{Err: errors.New("nobody listens")}
		}
		return good(ctx, []store.Op{op})[0]
	})},
	{"publishing writes the key", "batch-publish-never-fails", oneByOne(func(good batchFunc, ctx context.Context, op store.Op) store.Result {
		if op.Kind == store.OpPublish {
			return good(ctx, []store.Op{store.SetEXOp(op.Key, op.Value, time.Hour)})[0]
		}
		return good(ctx, []store.Op{op})[0]
	})},
	{"reads of a batch share a slice", "batch-keeps-no-reference", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			results := good(ctx, ops)
			for i := 1; i < len(ops); i++ {
				if ops[i].Kind == store.OpGet && ops[i-1].Kind == store.OpGet && ops[i].Key == ops[i-1].Key {
					results[i].Value = results[i-1].Value
				}
			}
			return results
		}
	})},
	{"a batch holds a thousand", "batch-is-not-limited", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			done := good(ctx, ops[:min(len(ops), 1000)])
			return append(done, make([]store.Result, len(ops)-len(done))...)
		}
	})},
	{"a batch ignores its context", "batch-honours-the-context", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			return good(context.WithoutCancel(ctx), ops)
		}
	})},
	{"a batch that ends has no results", "batch-honours-the-context", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			if ctx.Err() != nil {
				return nil
			}
			return good(ctx, ops)
		}
	})},
	{"only batches count seconds", "batch/ttl-has-milliseconds", oneByOne(func(good batchFunc, ctx context.Context, op store.Op) store.Result {
		op.TTL = op.TTL.Round(time.Second)
		return good(ctx, []store.Op{op})[0]
	})},
	{"batches do not publish", "batches-publish", oneByOne(func(good batchFunc, ctx context.Context, op store.Op) store.Result {
		if op.Kind == store.OpPublish {
			return store.Result{}
		}
		return good(ctx, []store.Op{op})[0]
	})},
}
