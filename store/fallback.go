package store

import (
	"context"
	"errors"
)

// Batch does ops on s, in one trip where s can, else one by one. See Batcher.Batch for what it promises.
func Batch(ctx context.Context, s Store, ops []Op) []Result {
	if len(ops) == 0 {
		return nil
	}
	caps := CapabilitiesOf(s)
	if caps.Batch != nil {
		return caps.Batch.Batch(ctx, ops)
	}
	results := make([]Result, len(ops))
	for i, op := range ops {
		results[i] = doOne(ctx, s, caps, op)
		if err := results[i].Err; err != nil && !Permanent(err) {
			for j := i + 1; j < len(ops); j++ {
				results[j].Err = err
			}
			break
		}
	}
	return results
}

func doOne(ctx context.Context, s Store, caps Capabilities, op Op) (r Result) {
	switch op.Kind {
	case OpSetEX:
		r.Err = s.SetEX(ctx, op.Key, op.Value, op.TTL)
	case OpGet:
		r.Value, r.Err = s.Get(ctx, op.Key)
	case OpIncr:
		r.N, r.Err = s.Incr(ctx, op.Key)
	case OpExpire:
		r.OK, r.Err = s.Expire(ctx, op.Key, op.TTL)
	case OpPublish:
		if caps.Hints != nil {
			_ = caps.Hints.Publish(ctx, op.Key, op.Value) // a lost hint is not an error
		}
	case OpTouch:
		if caps.Late != nil {
			r.Err = caps.Late.Touch(ctx, op.Key, op.TTL, op.Members...)
		}
	}
	return r
}

// FirstError returns the first error among results that is not ErrNotFound, or nil.
func FirstError(results []Result) error {
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, ErrNotFound) {
			return r.Err
		}
	}
	return nil
}
