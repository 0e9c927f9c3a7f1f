package conformance

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

var counterMutants = []mutant{
	{"counting begins at 0", "incr-counts", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			return n - 1, err
		}
	}},
	{"negative numbers are no integers", "incr-counts", refusedBefore(func(v string) bool { return strings.HasPrefix(v, "-") })},
	{"Incr accepts +1", "incr-refuses-what-is-no-integer", acceptedBefore(func(v string) string { return strings.TrimPrefix(v, "+") })},
	{"Incr accepts 01", "incr-refuses-what-is-no-integer", acceptedBefore(func(v string) string { return strings.TrimLeft(v, "0") })},
	{"Incr accepts blanks", "incr-refuses-what-is-no-integer", acceptedBefore(strings.TrimSpace)},
	{"Incr accepts an empty value", "incr-refuses-what-is-no-integer", acceptedBefore(func(v string) string {
		if v == "" {
			return "0"
		}
		return v
	})},
	{"Incr of text starts over", "incr-refuses-what-is-no-integer", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			n, err := b.good.Incr(ctx, key)
			if errors.Is(err, store.ErrNotInteger) {
				_ = b.good.SetEX(ctx, key, []byte("0"), forever)
			}
			return n, err
		}
	}},
	{"Incr wraps", "incr-does-not-wrap", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			if value, _ := b.good.Get(ctx, key); string(value) == strconv.Itoa(math.MaxInt64) {
				return math.MinInt64, b.good.SetEX(ctx, key, []byte(strconv.Itoa(math.MinInt64)), forever)
			}
			return b.good.Incr(ctx, key)
		}
	}},
	{"Incr stays at the highest", "incr-does-not-wrap", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			if value, _ := b.good.Get(ctx, key); string(value) == strconv.Itoa(math.MaxInt64) {
				return math.MaxInt64, nil
			}
			return b.good.Incr(ctx, key)
		}
	}},
	{"a third deletion of a key does nothing", "any-history-agrees-with-the-model", func(b *broken) {
		b.expire = func(ctx context.Context, key string, ttl time.Duration) (bool, error) {
			if ttl > 0 || !b.has(ctx, key) || strings.Contains(key, "{t}k") {
				return b.good.Expire(ctx, key, ttl)
			}
			if n, _ := b.swapTTL(key, 0); n == 2 {
				return true, nil
			} else {
				b.swapTTL(key, n+1)
			}
			return b.good.Expire(ctx, key, ttl)
		}
	}},
}

// acceptedBefore rewrites what is at the key before it is counted.
func acceptedBefore(change func(string) string) func(*broken) {
	return func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			if value, err := b.good.Get(ctx, key); err == nil && change(string(value)) != string(value) {
				_ = b.good.SetEX(ctx, key, []byte(change(string(value))), time.Hour)
			}
			return b.good.Incr(ctx, key)
		}
	}
}

func refusedBefore(refuse func(string) bool) func(*broken) {
	return func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			if value, err := b.good.Get(ctx, key); err == nil && refuse(string(value)) {
				return 0, store.ErrNotInteger
			}
			return b.good.Incr(ctx, key)
		}
	}
}
