package conformance

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/blocking-coordination/coord/store"
)

var expiryMutants = []mutant{
	{"more than a year is refused", "years-are-legal", func(b *broken) {
		b.setex = refuseYears(b)
	}},
	{"Expire for more than a year is refused", "years-are-legal", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if ttl > 366*24*time.Hour && b.has(ctx, key) {
				return false, store.ErrInvalidTTL
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
	{"SetEX counts seconds", "ttl-has-milliseconds", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, value, max(ttl.Truncate(time.Second), min(ttl, time.Second)))
		}
	}},
	{"SetEX rounds up to seconds", "ttl-has-milliseconds", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, value, ttl.Round(time.Second))
		}
	}},
	{"Expire counts seconds", "ttl-has-milliseconds", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			return b.good.Expire(ctx, key, max(ttl.Truncate(time.Second), min(ttl, time.Second)))
		}
	}},
	{"less than a millisecond is refused", "the-shortest-ttl-is-legal", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, value, ttl.Truncate(time.Millisecond))
		}
	}},
	{"Get returns the expired", "the-dead-are-absent", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember(key, bytes.Clone(value))
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := b.good.Get(ctx, key)
			if old, ok := b.recall(key); ok && errors.Is(err, store.ErrNotFound) {
				return bytes.Clone(old), nil
			}
			return value, err
		}
	}},
	{"Incr raises the dead", "the-dead-are-absent", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember(key, bytes.Clone(value))
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.incr = func(ctx context.Context, key string) (int64, error) {
			if old, ok := b.recall(key); ok && !b.has(ctx, key) {
				_ = b.good.SetEX(ctx, key, old, forever)
			}
			return b.good.Incr(ctx, key)
		}
	}},
	{"SetEX keeps the old ttl", "setex-replaces-the-ttl", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if old, ok := b.swapTTL(key, ttl); ok && b.has(ctx, key) && ttl > 0 {
				b.swapTTL(key, old)
				ttl = old
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"SetEX only lengthens", "setex-replaces-the-ttl", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			if old, ok := b.swapTTL(key, ttl); ok && ttl > 0 {
				ttl = max(old, ttl)
			}
			return b.good.SetEX(ctx, key, value, ttl)
		}
	}},
	{"Get prolongs", "reading-does-not-prolong", func(b *broken) {
		b.get = func(ctx context.Context, key string) ([]byte, error) {
			_, _ = b.good.Expire(ctx, key, 10*time.Minute)
			return b.good.Get(ctx, key)
		}
	}},
	{"Incr drops the ttl", "incr-keeps-the-ttl", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			_, _ = b.good.Expire(ctx, key, forever)
			return n, err
		}
	}},
	{"Incr refreshes the ttl", "incr-keeps-the-ttl", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.swapTTL(key, ttl)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			if ttl, ok := b.swapTTL(key, forever); ok {
				_, _ = b.good.Expire(ctx, key, ttl)
				b.swapTTL(key, ttl)
			}
			return n, err
		}
	}},
	{"new counters have a ttl", "a-new-counter-has-no-ttl", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			if n == 1 {
				_, _ = b.good.Expire(ctx, key, 24*time.Hour)
			}
			return n, err
		}
	}},
	{"Expire of missing is true", "expire-of-missing-is-false", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			_, err := b.good.Expire(ctx, key, ttl)
			return err == nil, err
		}
	}},
	{"Expire creates", "expire-of-missing-is-false", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			ok, err := b.good.Expire(ctx, key, ttl)
			if !ok {
				_ = b.good.SetEX(ctx, key, nil, ttl)
			}
			return ok, err
		}
	}},
	{"Expire for 0 is ignored", "expire-deletes", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if ttl == 0 {
				return b.has(ctx, key), nil
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
	{"Expire refuses a negative ttl", "expire-deletes", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if ttl < 0 {
				return false, store.ErrInvalidTTL
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
	{"Expire says nothing of what it deletes", "expire-deletes", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			ok, err := b.good.Expire(ctx, key, ttl)
			return ok && ttl > 0, err
		}
	}},
	{"Expire only lengthens", "expire-sets-the-ttl", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.swapTTL(key, ttl)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if old, ok := b.swapTTL(key, ttl); ok && ttl > 0 {
				ttl = max(old, ttl)
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
	{"Expire empties the value", "expire-sets-the-ttl", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			ok, err := b.good.Expire(ctx, key, ttl)
			if ok && ttl > 0 {
				_ = b.good.SetEX(ctx, key, nil, ttl)
			}
			return ok, err
		}
	}},
	{"a long Expire deletes", "expire-keeps-or-refuses-the-longest-ttl", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if ttl > forever {
				ttl = 0
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
}

func refuseYears(b *broken) setexFunc {
	return func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
		if ttl > 366*24*time.Hour {
			return store.ErrInvalidTTL
		}
		return b.good.SetEX(ctx, key, value, ttl)
	}
}
