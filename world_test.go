package coord_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(func())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// openOn opens a Client on any store. It is closed at the end of the test.
func openOn(t tester, st store.Store, cfg coord.Config) *coord.Client {
	t.Helper()
	cfg.Secret = secret
	c, err := coord.Open(st, cfg)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// joinOn joins with a Client of its own, as a process of its own would.
func joinOn(t tester, st store.Store, id string, cfg coord.Config) *coord.Coordinator {
	t.Helper()
	a, err := openOn(t, st, cfg).Join(context.Background(), id)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return a
}

// in runs f in a bubble whose time is fake.
func in(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// record keeps the events that it is told.
type record struct {
	mu     sync.Mutex
	events []coord.Event
	then   func(coord.Event) // optional
}

func (r *record) Observe(e coord.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.then != nil {
		r.then(e)
	}
}

// of returns the events of one type.
func of[E coord.Event](r *record) (all []E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e, ok := e.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// reasons counts the refusals by reason.
func (r *record) reasons() map[string]int {
	n := map[string]int{}
	for _, e := range of[coord.SignalRefused](r) {
		n[e.Reason]++
	}
	return n
}

// mute is a store whose hints are all lost; everything else it can do, it does.
type mute struct{ *memstore.Store }

func (m mute) Capabilities() store.Capabilities {
	caps := m.Store.Capabilities()
	caps.Hints = nil
	return caps
}

// deaf has hints that never arrive: publishers and subscribers believe that there are some.
type deaf struct{ *memstore.Store }

func (d deaf) Capabilities() store.Capabilities {
	caps := d.Store.Capabilities()
	caps.Hints, caps.Append, caps.Batch = lostHints{}, nil, nil
	return caps
}

type lostHints struct{}

func (lostHints) Publish(context.Context, string, []byte) error { return nil }
func (lostHints) Subscribe(string, func([]byte)) func()         { return func() {} }

// bare is a store that can do the five operations and nothing else. Its clock is the system's.
type bare struct{ store.Store }

// kinds are stores that differ in speed only.
func kinds(st *memstore.Store) map[string]store.Store {
	return map[string]store.Store{"all": st, "mute": mute{st}, "deaf": deaf{st}, "bare": bare{st}}
}

var errDown = errors.New("connection refused")

// unsteady is a store that can be cut off and can lose its data. It has a clock and no other capability.
type unsteady struct {
	inner atomic.Pointer[memstore.Store]
	down  atomic.Bool
	clock store.Clock
}

func newUnsteady() *unsteady {
	u := &unsteady{clock: store.SystemClock}
	u.lose()
	return u
}

// lose replaces the data by nothing.
func (u *unsteady) lose() { u.inner.Store(memstore.New(memstore.WithClock(u.clock))) }

func (u *unsteady) Capabilities() store.Capabilities { return store.Capabilities{Clock: u.clock} }

func (u *unsteady) up() (*memstore.Store, error) {
	if u.down.Load() {
		return nil, errDown
	}
	return u.inner.Load(), nil
}

func (u *unsteady) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	st, err := u.up()
	if err != nil {
		return err
	}
	return st.SetEX(ctx, key, value, ttl)
}

func (u *unsteady) Get(ctx context.Context, key string) ([]byte, error) {
	st, err := u.up()
	if err != nil {
		return nil, err
	}
	return st.Get(ctx, key)
}

func (u *unsteady) Incr(ctx context.Context, key string) (int64, error) {
	st, err := u.up()
	if err != nil {
		return 0, err
	}
	return st.Incr(ctx, key)
}

func (u *unsteady) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	st, err := u.up()
	if err != nil {
		return false, err
	}
	return st.Expire(ctx, key, ttl)
}

func (u *unsteady) Keys(ctx context.Context, prefix string) ([]string, error) {
	st, err := u.up()
	if err != nil {
		return nil, err
	}
	return st.Keys(ctx, prefix)
}

// waitResult is what a Wait in a goroutine of its own came to.
type waitResult struct {
	signal *coord.Signal
	err    error
	took   time.Duration
}

func waiting(ctx context.Context, a *coord.Coordinator, opts ...coord.Option) <-chan waitResult {
	result := make(chan waitResult, 1)
	began := time.Now()
	go func() {
		s, err := a.Wait(ctx, opts...)
		result <- waitResult{s, err, time.Since(began)}
	}()
	return result
}

// echo answers every signal with its payload.
func echo(_ context.Context, s *coord.Signal) ([]byte, error) { return s.Payload, nil }
