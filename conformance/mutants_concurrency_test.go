package conformance

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// interrupt lets the other goroutines of a check come in between.
func interrupt() {
	for range 20 {
		runtime.Gosched()
	}
}

var concurrencyMutants = []mutant{
	{"Incr reads, then writes", "concurrent-incr-is-distinct", func(b *broken) { b.incr = racyIncr(b) }},
	{"SetEX writes in two halves", "concurrent-values-are-whole", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if len(value) > 1000 {
				_ = b.good.SetEX(ctx, key, value[:len(value)/2], ttl)
				interrupt()
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"Expire looks, then deletes", "one-delete-succeeds", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			there := b.has(ctx, key)
			interrupt()
			_, err := b.good.Expire(ctx, key, ttl)
			return there, err
		}
	}},
	{"Keys loses its place when others write", "keys-sees-what-stays", func(b *broken) {
		var writes atomic.Int64
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			writes.Add(1)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			before := writes.Load()
			keys, err := b.good.Keys(ctx, prefix)
			interrupt()
			if writes.Load() != before {
				keys = keys[:len(keys)-1]
			}
			return keys, err
		}
	}},
	{"batches share a buffer", "concurrent-batches-keep-apart", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember("buffer", bytes.Clone(value))
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			interrupt()
			value, err := b.good.Get(ctx, key)
			if other, ok := b.recall("buffer"); ok && err == nil {
				return bytes.Clone(other), nil
			}
			return value, err
		}
	}},
}

func racyIncr(b *broken) incrFunc {
	return func(ctx context.Context, key string) (int64, error) {
		value, err := b.good.Get(ctx, key)
		if err != nil {
			value = []byte("0")
		}
		interrupt()
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return b.good.Incr(ctx, key)
		}
		return n + 1, b.good.SetEX(ctx, key, strconv.AppendInt(nil, n+1, 10), forever)
	}
}

var contextMutants = []mutant{
	{"contexts are ignored", "an-ended-context-is-an-error", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			return b.good.Get(context.WithoutCancel(ctx), key)
		}
	}},
	{"Keys ignores its context", "an-ended-context-is-an-error", func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			return b.good.Keys(context.WithoutCancel(ctx), prefix)
		}
	}},
	{"an ended context reads as absence", "an-ended-context-is-an-error", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			if ctx.Err() != nil {
				return nil, errors.Join(store.ErrNotFound, ctx.Err())
			}
			return b.good.Get(ctx, key)
		}
	}},
	{"keys die with their context", "contexts-are-not-kept", func(b *broken) {
		var writer atomic.Pointer[context.Context]
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			writer.Store(&ctx)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			if w := writer.Load(); w != nil && (*w).Err() != nil {
				return nil, store.ErrNotFound
			}
			return b.good.Get(ctx, key)
		}
	}},
}
