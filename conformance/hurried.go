package conformance

import (
	"context"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// hurry is how much faster time passes in a store whose clock is not shared than it does in the world of a trial. There
// time may also pass by itself, a second where the machine stalls: that is a tenth of a second in the world.
const hurry = 10

// hurried is a store for which every time to live is as much longer as time passes faster.
type hurried struct{ store.Store }

func (h hurried) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return h.Store.SetEX(ctx, key, value, hurry*ttl)
}

func (h hurried) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return h.Store.Expire(ctx, key, hurry*ttl)
}

func (h hurried) Capabilities() (caps store.Capabilities) {
	has := store.CapabilitiesOf(h.Store)
	if has.Batch != nil {
		caps.Batch = hurriedBatch{has.Batch}
	}
	if has.Append != nil {
		caps.Append = hurriedAppend{has.Append}
	}
	if has.Late != nil {
		caps.Late = hurriedLate{has.Late}
	}
	return caps
}

type hurriedBatch struct{ store.Batcher }

func (h hurriedBatch) Batch(ctx context.Context, ops []store.Op) []store.Result {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].TTL *= hurry
	}
	return h.Batcher.Batch(ctx, ops)
}

type hurriedAppend struct{ store.Appender }

func (h hurriedAppend) Append(ctx context.Context, a store.Append) (int64, error) {
	a.TailTTL, a.TTL = hurry*a.TailTTL, hurry*a.TTL
	return h.Appender.Append(ctx, a)
}

type hurriedLate struct{ store.LateIndex }

func (h hurriedLate) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	return h.LateIndex.Touch(ctx, index, hurry*ttl, members...)
}
