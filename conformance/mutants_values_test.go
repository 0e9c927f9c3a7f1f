package conformance

import (
	"bytes"
	"context"
	"errors"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

var valueMutants = []mutant{
	{"values end at a mebibyte", "values-are-bytes", changedValues(func(v []byte) []byte { return v[:min(len(v), 1<<20)] })},
	{"absence is another error", "missing-is-not-found", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				err = errors.New("nil")
			}
			return value, err
		}
	}},
	{"absence is no error", "missing-is-not-found", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return value, err
		}
	}},
	{"values end at a NUL", "values-are-bytes", changedValues(func(v []byte) []byte {
		value, _, _ := bytes.Cut(v, []byte{0})
		return value
	})},
	{"values are trimmed", "values-are-bytes", changedValues(bytes.TrimSpace)},
	{"values are text", "values-are-bytes", changedValues(func(v []byte) []byte { return bytes.ToValidUTF8(v, []byte("?")) })},
	{"empty reads as absent", "empty-is-a-value", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if err == nil && len(value) == 0 {
				return nil, store.ErrNotFound
			}
			return value, err
		}
	}},
	{"nil deletes", "empty-is-a-value", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if value == nil {
				_, err := b.good.Expire(ctx, key, 0)
				return err
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"SetEX does not overwrite", "setex-replaces-the-value", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if old, err := b.good.Get(ctx, key); err == nil {
				value = old
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"keys ignore case", "keys-are-bytes", changedKeys(strings.ToLower)},
	{"keys are cut", "keys-are-bytes", changedKeys(func(k string) string { return k[:min(len(k), 255)] })},
	{"keys are paths", "keys-are-bytes", changedKeys(path.Clean)},
	{"Get returns the store's slice", "the-caller-owns-the-result", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if mine, ok := b.recall(key); ok && len(mine) == len(value) {
				return mine, err
			}
			b.remember(key, value)
			return value, err
		}
	}},
	{"SetEX writes into what Get returned", "the-caller-owns-the-result", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			b.remember(key, value)
			return value, err
		}
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if given, _ := b.recall(key); len(given) < 100 { // the large values are read concurrently
				copy(given, value)
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"SetEX keeps the caller's slice", "the-store-keeps-no-reference", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember(key, value)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if mine, ok := b.recall(key); ok && err == nil {
				return bytes.Clone(mine), nil
			}
			return value, err
		}
	}},
	{"Incr writes into the caller's slice", "the-store-keeps-no-reference", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember(key, value)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			mine, _ := b.recall(key)
			strconv.AppendInt(mine[:0], n, 10)
			return n, err
		}
	}},
	{"no ttl means forever", "invalid-ttl-is-refused", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if ttl == 0 {
				ttl = forever
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"a negative ttl deletes", "invalid-ttl-is-refused", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if ttl < 0 {
				_, _ = b.good.Expire(ctx, key, 0)
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"a long ttl wraps", "the-longest-ttl-is-kept-or-refused", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if ttl > forever {
				ttl = time.Millisecond
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
}

// forever is longer than any rule lets pass, and yet no overflow.
const forever = 100_000 * time.Hour

func changedValues(change func([]byte) []byte) func(*broken) {
	return func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, change(value), ttl)
		}
	}
}

func changedKeys(change func(string) string) func(*broken) {
	return func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, change(key), value, ttl)
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) { return b.good.Get(ctx, change(key)) }
		b.incr = func(ctx context.Context, key string) (int64, error) { return b.good.Incr(ctx, change(key)) }
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			return b.good.Expire(ctx, change(key), ttl)
		}
	}
}
