package history_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/history"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// played is a history of four clients of s.
func played(t *testing.T, s store.Store, seed uint64) *history.History {
	t.Helper()
	h := &history.History{}
	p := history.Play{Prefix: fmt.Sprint("{h}", seed), Seed: seed, Clients: 4, Each: 200, MaxOpen: 20}
	p.Store = func(client int) store.Store { return h.Of(client, s) }
	p.Run(t.Context(), h)
	return h
}

func TestMemoryIsLinearizable(t *testing.T) {
	counted := 0
	for seed := range uint64(20) {
		h := played(t, memstore.New(), seed)
		h.Check(t)
		counted += h.Len()
	}
	t.Logf("counted %d operations", counted)
}

// The mutants are stores that are wrong, now and then, under any schedule.

// stale answers every third Get by what the key held before.
type stale struct {
	store.Store
	mu   sync.Mutex
	gets int
	old  map[string][]byte
}

func (s *stale) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, err := s.Store.Get(ctx, key); err == nil {
		s.old[key] = before
	}
	return s.Store.SetEX(ctx, key, value, ttl)
}

func (s *stale) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gets++; s.gets%3 == 0 && s.old[key] != nil {
		return s.old[key], nil
	}
	return s.Store.Get(ctx, key)
}

// doubled increments twice, now and then: what a client library does that sends again what was lost.
type doubled struct {
	store.Store
	mu    sync.Mutex
	incrs int
}

func (s *doubled) Incr(ctx context.Context, key string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.incrs++; s.incrs%20 == 0 {
		_, _ = s.Store.Incr(ctx, key)
	}
	return s.Store.Incr(ctx, key)
}

// deaf says that it has deleted, and has not.
type deaf struct{ store.Store }

func (s deaf) Expire(ctx context.Context, key string, _ time.Duration) (bool, error) {
	_, err := s.Get(ctx, key)
	return err == nil, nil
}

// torn shows the ticket before the entry.
type torn struct{ store.Store }

func (s torn) Capabilities() store.Capabilities { return store.Capabilities{Append: s} }

func (s torn) Append(ctx context.Context, a store.Append) (int64, error) {
	n, err := s.Incr(ctx, a.Tail)
	if err != nil || n%2 == 0 { // the entry never comes
		return n, err
	}
	return n, s.SetEX(ctx, fmt.Sprint(a.Entry, n), a.Value, a.TTL)
}

func TestBrokenStoresAreNot(t *testing.T) {
	for name, broken := range map[string]func(store.Store) store.Store{
		"stale reads":         func(s store.Store) store.Store { return &stale{Store: s, old: map[string][]byte{}} },
		"a doubled increment": func(s store.Store) store.Store { return &doubled{Store: s} },
		"a deletion ignored":  func(s store.Store) store.Store { return deaf{s} },
		"an entry lost":       func(s store.Store) store.Store { return torn{s} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				if !played(t, broken(memstore.New()), seed).Linearizable() {
					t.Log("counted 1 mutants")
					return
				}
			}
			t.Error("no history shows it")
		})
	}
}

// lost does what it was asked, says that it does not know, and does it again when it is asked for something else.
type lost struct {
	store.Store
	mu    sync.Mutex
	sets  int
	ghost func()
}

func (s *lost) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ghost != nil {
		s.ghost()
		s.ghost = nil
	}
	if s.sets++; s.sets%4 == 0 {
		s.ghost = func() { _ = s.Store.SetEX(ctx, key, value, ttl) }
		return context.DeadlineExceeded
	}
	return s.Store.SetEX(ctx, key, value, ttl)
}

// What is unknown may happen later: that is no violation, and it must be found out in reasonable time.
func TestUnknownOutcomesStayOpen(t *testing.T) {
	for seed := range uint64(10) {
		h := played(t, &lost{Store: memstore.New()}, seed)
		if h.Open() == 0 {
			t.Fatal("every outcome is known")
		}
		h.Check(t)
	}
}
