package redisstore

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

func TestConformanceMiniredis(t *testing.T) {
	conformance.Run(t, func(tb testing.TB) conformance.Instance {
		m := redistest.Miniredis(tb)
		open := func() store.Store { return opened(tb, "redis://"+m.Addr()) }
		return conformance.Instance{Store: open(), Advance: m.FastForward, Reopen: open}
	})
}

func TestConformanceRedis(t *testing.T) {
	server := redistest.Start(t, redistest.WithoutPersistence())
	conformance.Run(t, func(tb testing.TB) conformance.Instance {
		client := clientOf(tb, server.URL())
		must(tb, client.FlushAll(tb.Context()).Err())
		open := func() store.Store { return opened(tb, server.URL()) }
		return conformance.Instance{Store: open(), Advance: advance(tb, client), Reopen: open}
	})
}

// advance makes time pass for every key of the suite: it takes d from what they have left to live.
func advance(tb testing.TB, client redis.UniversalClient) func(time.Duration) {
	ctx := context.Background()
	return func(d time.Duration) {
		tb.Helper()
		keys := client.Scan(ctx, 0, conformance.KeyPrefix+"*", scanCount).Iterator()
		for keys.Next(ctx) {
			left, err := client.PTTL(ctx, keys.Val()).Result()
			must(tb, err)
			if left >= 0 { // -1: no time to live, -2: gone meanwhile
				must(tb, client.PExpire(ctx, keys.Val(), left-d).Err())
			}
		}
		must(tb, keys.Err())
	}
}

func opened(tb testing.TB, url string, opts ...Option) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url, opts...)
	must(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func clientOf(tb testing.TB, url string) *redis.Client {
	tb.Helper()
	o, err := redis.ParseURL(url)
	must(tb, err)
	c := redis.NewClient(o)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
