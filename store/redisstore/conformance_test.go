package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

func TestConformanceMiniredis(t *testing.T) { conformance.Run(t, onMiniredis) }

func TestConformanceRedis(t *testing.T) { conformance.Run(t, onRedis(t)) }

func TestProtocolMiniredis(t *testing.T) {
	t.Parallel()
	conformance.RunProtocol(t, onMiniredis)
}

func TestProtocolRedis(t *testing.T) {
	t.Parallel()
	conformance.RunProtocol(t, onRedis(t))
}

func onMiniredis(tb testing.TB) conformance.Instance {
	m := redistest.Miniredis(tb)
	open := func() store.Store { return opened(tb, "redis://"+m.Addr()) }
	return conformance.Instance{Store: open(), Advance: m.FastForward, Reopen: open}
}

// onRedis opens instances on one server, one after the other.
func onRedis(t *testing.T) func(testing.TB) conformance.Instance {
	server := redistest.Start(t, redistest.WithoutPersistence())
	return func(tb testing.TB) conformance.Instance {
		client := clientOf(tb, server.URL())
		must(tb, client.FlushAll(tb.Context()).Err())
		open := func() store.Store { return opened(tb, server.URL()) }
		return conformance.Instance{Store: open(), Advance: advance(tb, client), Reopen: open}
	}
}

// advance makes time pass for every key of the suite: it takes d from what they have left to live.
func advance(tb testing.TB, client redis.UniversalClient) func(time.Duration) {
	return func(d time.Duration) {
		tb.Helper()
		err := shorten.Run(context.Background(), client, nil, conformance.KeyPrefix+"*", d.Milliseconds()).Err()
		if !errors.Is(err, redis.Nil) {
			must(tb, err)
		}
	}
}

// shorten is one trip, for time passes as often as anything else happens. A PTTL below 0 is that of a key without one.
var shorten = redis.NewScript(`
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
	local left = redis.call('PTTL', key)
	if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[2]) end
end`)

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
