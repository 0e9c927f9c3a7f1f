package conformance

import (
	"context"
	"path"
	"strings"
	"time"
)

var keysMutants = []mutant{
	{"Keys takes a glob", "keys-takes-the-prefix-literally", func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) (keys []string, err error) {
			all, err := b.good.Keys(ctx, "")
			for _, k := range all {
				if ok, _ := path.Match(prefix+"*", k); ok {
					keys = append(keys, k)
				}
			}
			return keys, err
		}
	}},
	{"Keys leaks a neighbour's", "keys-stays-in-its-prefix", func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			return b.good.Keys(ctx, strings.TrimSuffix(prefix, ":"))
		}
	}},
	{"Keys leaves out the prefix itself", "keys-stays-in-its-prefix", func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			keys, err := b.good.Keys(ctx, prefix)
			if len(keys) > 0 && keys[0] == prefix {
				keys = keys[1:]
			}
			return keys, err
		}
	}},
	{"Keys misses one", "keys-returns-each-once", changedPages(func(keys []string) []string { return keys[1:] })},
	{"Keys ends after three pages", "keys-returns-each-once", changedPages(func(keys []string) []string { return keys[:3000] })},
	{"Keys doubles one", "keys-returns-each-once", changedPages(func(keys []string) []string { return append(keys, keys[1000]) })},
	{"Keys returns the dead", "keys-returns-the-living", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			b.remember(key, nil)
			return b.good.SetEX(ctx, key, value, ttl)
		}
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			keys, err := b.good.Keys(ctx, prefix)
			if _, ok := b.recall(key("dead")); ok && !b.has(ctx, key("dead")) && strings.HasPrefix(key("dead"), prefix) {
				keys = append(keys, key("dead"))
			}
			return keys, err
		}
	}},
	{"Keys leaves out counters", "keys-returns-the-living", func(b *broken) {
		b.incr = func(ctx context.Context, key string) (int64, error) {
			b.remember(key, nil)
			return b.good.Incr(ctx, key)
		}
		b.keys = func(ctx context.Context, prefix string) (keys []string, err error) {
			all, err := b.good.Keys(ctx, prefix)
			for _, k := range all {
				if _, counter := b.recall(k); !counter {
					keys = append(keys, k)
				}
			}
			return keys, err
		}
	}},
	{"Keys shows the driver's namespace", "keys-returns-what-can-be-read", func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			keys, err := b.good.Keys(ctx, prefix)
			for i := range keys {
				keys[i] = "namespace:" + keys[i]
			}
			return keys, err
		}
	}},
}

// changedPages changes what Keys returns where there are many.
func changedPages(change func([]string) []string) func(*broken) {
	return func(b *broken) {
		b.keys = func(ctx context.Context, prefix string) ([]string, error) {
			keys, err := b.good.Keys(ctx, prefix)
			if len(keys) > 3000 {
				keys = change(keys)
			}
			return keys, err
		}
	}
}
