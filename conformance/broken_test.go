package conformance

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

type (
	setexFunc  func(ctx context.Context, key string, value []byte, ttl time.Duration) error
	getFunc    func(ctx context.Context, key string) ([]byte, error)
	incrFunc   func(ctx context.Context, key string) (int64, error)
	expireFunc func(ctx context.Context, key string, ttl time.Duration) (bool, error)
	keysFunc   func(ctx context.Context, prefix string) ([]string, error)
)

// broken is a good store whose operations a mutant replaces. Its batches are made of its operations, unless the mutant
// gives it a Batch.
type broken struct {
	good  *memstore.Store
	clock *memstore.FakeClock

	setex  setexFunc
	get    getFunc
	incr   incrFunc
	expire expireFunc
	keys   keysFunc
	caps   func() store.Capabilities
	reopen func() store.Store

	mu   sync.Mutex // for the use of mutants
	memo map[string][]byte
	ttls map[string]time.Duration
}

func newBroken(mutate func(*broken)) *broken {
	clock := memstore.NewFakeClock(time.Time{})
	return brokenClient(memstore.New(memstore.WithClock(clock)), clock, mutate)
}

// brokenClient is one of several of the same data.
func brokenClient(good *memstore.Store, clock *memstore.FakeClock, mutate func(*broken)) *broken {
	b := &broken{
		good: good, clock: clock,
		setex: good.SetEX, get: good.Get, incr: good.Incr, expire: good.Expire, keys: good.Keys,
		memo: make(map[string][]byte), ttls: make(map[string]time.Duration),
	}
	b.caps = b.goodCaps
	b.reopen = func() store.Store { return b }
	mutate(b)
	return b
}

// perClient mutates every client by itself: what the mutant keeps is not shared.
func perClient(mutate func(*broken)) func(*broken) {
	return func(b *broken) {
		mutate(b)
		b.reopen = func() store.Store { return brokenClient(b.good, b.clock, mutate) }
	}
}

func (b *broken) goodCaps() store.Capabilities {
	caps := b.good.Capabilities()
	caps.Batch = nil
	return caps
}

// change lets a mutant replace some of the capabilities.
func (b *broken) change(f func(*store.Capabilities)) {
	caps := b.goodCaps()
	f(&caps)
	b.caps = func() store.Capabilities { return caps }
}

// remember and recall are a mutant's own memory of values.
func (b *broken) remember(key string, value []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memo[key] = value
}

func (b *broken) recall(key string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, ok := b.memo[key]
	return value, ok
}

// swapTTL remembers a time to live and returns the one before.
func (b *broken) swapTTL(key string, ttl time.Duration) (before time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, ok = b.ttls[key]
	b.ttls[key] = ttl
	return before, ok
}

func (b *broken) has(ctx context.Context, key string) bool {
	_, err := b.good.Get(ctx, key)
	return err == nil
}

func (b *broken) Capabilities() store.Capabilities { return b.caps() }

func (b *broken) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return b.setex(ctx, key, value, ttl)
}

func (b *broken) Get(ctx context.Context, key string) ([]byte, error) { return b.get(ctx, key) }

func (b *broken) Incr(ctx context.Context, key string) (int64, error) { return b.incr(ctx, key) }

func (b *broken) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return b.expire(ctx, key, ttl)
}

func (b *broken) Keys(ctx context.Context, prefix string) ([]string, error) {
	return b.keys(ctx, prefix)
}

func openBroken(mutate func(*broken)) func(testing.TB) Instance {
	return func(testing.TB) Instance {
		b := newBroken(mutate)
		return Instance{Store: b, Advance: b.clock.Advance, Reopen: b.reopen}
	}
}
