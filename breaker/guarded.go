package breaker

import (
	"context"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// runner does one operation by as many attempts as it sees fit.
type runner interface {
	do(ctx context.Context, c call, attempt attemptFunc) error
}

// attemptFunc is one attempt at an operation. Its error is the verdict on the attempt.
type attemptFunc func(ctx context.Context) error

// call says which operation a runner does.
type call struct {
	op, key string
	limit   time.Duration // the deadline of each attempt
}

// guarded is a store whose every operation goes through a runner.
type guarded struct {
	inner store.Store
	run   runner
	cfg   config
	caps  store.Capabilities
}

// guard wraps s and those of its capabilities that wait for the store. Hints are lossy and the clock is local: there is
// nothing to retry. The wrappers are made once, because Capabilities must return the same members on every call.
func guard(s store.Store, run runner, cfg config, n *notices) *guarded {
	g := &guarded{inner: s, run: run, cfg: cfg}
	caps := store.CapabilitiesOf(s)
	if caps.Batch != nil {
		caps.Batch = &batcher{caps.Batch, g}
	}
	if caps.Append != nil {
		caps.Append = &appender{caps.Append, g}
	}
	if caps.Late != nil {
		caps.Late = &lateIndex{caps.Late, g}
	}
	caps.Notices = n
	g.caps = caps
	return g
}

func (g *guarded) do(ctx context.Context, op, key string, attempt attemptFunc) error {
	return g.run.do(ctx, call{op, key, g.cfg.attemptTimeout}, attempt)
}

// Capabilities returns those of the wrapped store: Batch, Append and Late guarded like the five operations, Hints and
// Clock as they are, and Notices with the breaker's own among them. Once is what Breaker.Once returns.
func (g *guarded) Capabilities() store.Capabilities { return g.caps }

// SetEX is store.Store.SetEX.
func (g *guarded) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return g.do(ctx, "SetEX", key, func(ctx context.Context) error {
		return g.inner.SetEX(ctx, key, value, ttl)
	})
}

// Get is store.Store.Get.
func (g *guarded) Get(ctx context.Context, key string) (value []byte, err error) {
	err = g.do(ctx, "Get", key, func(ctx context.Context) (err error) {
		value, err = g.inner.Get(ctx, key)
		return err
	})
	return value, err
}

// Incr is store.Store.Incr. A retry may skip numbers; it never repeats one.
func (g *guarded) Incr(ctx context.Context, key string) (n int64, err error) {
	err = g.do(ctx, "Incr", key, func(ctx context.Context) (err error) {
		n, err = g.inner.Incr(ctx, key)
		return err
	})
	return n, err
}

// Expire is store.Store.Expire. After a retry, false may mean that an earlier attempt deleted the key.
func (g *guarded) Expire(ctx context.Context, key string, ttl time.Duration) (ok bool, err error) {
	err = g.do(ctx, "Expire", key, func(ctx context.Context) (err error) {
		ok, err = g.inner.Expire(ctx, key, ttl)
		return err
	})
	return ok, err
}

// Keys is store.Store.Keys, with the deadline of KeysTimeout.
func (g *guarded) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	err = g.run.do(ctx, call{"Keys", prefix, g.cfg.keysTimeout}, func(ctx context.Context) (err error) {
		keys, err = g.inner.Keys(ctx, prefix)
		return err
	})
	return keys, err
}
