// Package memstore keeps a coord store in the memory of one process: for tests, for agents that share a process, and as
// the model of what a driver does. Together with FakeClock it lets a program rehearse hours of timeouts in
// microseconds, without a server and without sleeping.
//
// Everything is lost with the process. All coordinators must share one *Store.
package memstore

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// Store is a store.Store in memory with every capability. All methods may be called concurrently, and return the
// context's cause without doing anything where ctx has ended. A key is still alive at its deadline. There is nothing
// to close: a Store has no goroutines.
type Store struct {
	clock store.Clock
	epoch time.Time // deadlines count from here, on the clock's monotonic reading

	mu          sync.Mutex // guards what follows; never held while a subscriber runs
	keys        table
	indexes     map[string]*lateIndex
	subscribers map[string][]*subscription
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Capable = (*Store)(nil)
)

// Option changes how New builds a Store.
type Option func(*Store)

// WithClock makes clock the store's only source of time, and what Capabilities().Clock returns. The default, also for
// nil, is store.SystemClock, which inside a testing/synctest bubble is the bubble's.
func WithClock(clock store.Clock) Option {
	return func(s *Store) {
		if clock != nil {
			s.clock = clock
		}
	}
}

// New returns an empty store.
func New(opts ...Option) *Store {
	s := &Store{
		clock:       store.SystemClock,
		keys:        table{byKey: make(map[string]*entry)},
		indexes:     make(map[string]*lateIndex),
		subscribers: make(map[string][]*subscription),
	}
	for _, opt := range opts {
		opt(s)
	}
	s.epoch = s.clock.Now()
	return s
}

// SetEX implements store.Store. A ttl that overflows the clock, about 292 years, is store.ErrInvalidTTL.
func (s *Store) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	deadline, err := deadlineAfter(now, ttl)
	if err != nil {
		return err
	}
	s.set(key, value, now, deadline)
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.keys.find(key, s.now())
	if e == nil {
		return nil, store.ErrNotFound
	}
	return copyOf(e.value), nil
}

// Incr implements store.Store.
func (s *Store) Incr(ctx context.Context, key string) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	e, n, err := s.next(key, now)
	if err != nil {
		return 0, err
	}
	s.count(e, key, n, now)
	return n, nil
}

// Expire implements store.Store. A ttl that overflows the clock is store.ErrInvalidTTL, whether or not key is there.
func (s *Store) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if ttl <= 0 {
		return s.drop(key, now), nil
	}
	deadline, err := deadlineAfter(now, ttl)
	if err != nil {
		return false, err
	}
	e := s.keys.find(key, now)
	if e != nil {
		e.deadline = deadline
	}
	return e != nil, nil
}

// Keys implements store.Store. The keys come in ascending order.
func (s *Store) Keys(ctx context.Context, prefix string) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	keys := s.living(prefix)
	slices.Sort(keys)
	return keys, nil
}

func (s *Store) living(prefix string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, e := range s.keys.all {
		if now <= e.deadline && strings.HasPrefix(e.key, prefix) {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// now is read with mu held, so that time does not go back from one operation to the next.
func (s *Store) now() int64 { return int64(s.clock.Now().Sub(s.epoch)) }

// set, next, count and drop are the steps that the operations and Append share; mu is held.
func (s *Store) set(key string, value []byte, now, deadline int64) {
	e := s.keys.findOrAdd(key, now)
	e.value = append(e.value[:0], value...)
	e.deadline = deadline
}

// next returns key's entry, nil where there is none, and the number that comes after what stands there.
func (s *Store) next(key string, now int64) (*entry, int64, error) {
	e := s.keys.find(key, now)
	if e == nil {
		return nil, 1, nil
	}
	n, ok := canonical(e.value)
	if !ok || n == math.MaxInt64 {
		return nil, 0, store.ErrNotInteger
	}
	return e, n + 1, nil
}

// count writes n to e, or to a new entry of key where e is nil.
func (s *Store) count(e *entry, key string, n, now int64) *entry {
	if e == nil {
		e = s.keys.add(key, now)
	}
	e.value = strconv.AppendInt(e.value[:0], n, 10)
	return e
}

func (s *Store) drop(key string, now int64) bool {
	e := s.keys.find(key, now)
	if e != nil {
		s.keys.remove(e)
	}
	return e != nil
}

// deadlineAfter is the moment ttl after now, or store.ErrInvalidTTL where there is none.
func deadlineAfter(now int64, ttl time.Duration) (int64, error) {
	deadline := now + int64(ttl)
	if ttl <= 0 || deadline < now || deadline == never {
		return 0, store.ErrInvalidTTL
	}
	return deadline, nil
}

// canonical reads an int64 in the one form in which Incr itself writes it: no plus sign, no leading zero, no space.
func canonical(value []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	var buf [20]byte
	return n, err == nil && string(strconv.AppendInt(buf[:0], n, 10)) == string(value)
}

// copyOf is never nil: nil is no value, and for a subscriber it has a meaning of its own.
func copyOf(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
