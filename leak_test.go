package coord_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// counted counts what a Client holds of a store.
type counted struct {
	*memstore.Store
	subscriptions, batches, beats atomic.Int64
}

func (c *counted) Capabilities() store.Capabilities {
	caps := c.Store.Capabilities()
	caps.Hints, caps.Batch = c, c
	return caps
}

func (c *counted) Subscribe(channel string, fn func([]byte)) func() {
	c.subscriptions.Add(1)
	cancel := c.Store.Subscribe(channel, fn)
	return func() { c.subscriptions.Add(-1); cancel() }
}

func (c *counted) Batch(ctx context.Context, ops []store.Op) []store.Result {
	beats := int64(0)
	for _, op := range ops {
		if op.Kind == store.OpSetEX && strings.Contains(op.Key, ":heartbeat:") {
			beats++
		}
	}
	if beats > 0 {
		c.beats.Add(beats)
		c.batches.Add(1)
	}
	return c.Store.Batch(ctx, ops)
}

// TestW6NothingIsLeft: after Leave and Close there is no goroutine, no timer and no subscription, whatever was going on.
func TestW6NothingIsLeft(t *testing.T) {
	for name, finish := range map[string]func(*coord.Client, *coord.Coordinator) error{
		"leave then close": func(c *coord.Client, b *coord.Coordinator) error {
			return errors.Join(b.Leave(context.Background()), c.Close())
		},
		"close": func(c *coord.Client, _ *coord.Coordinator) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			clock := memstore.NewFakeClock(time.Time{})
			st := &counted{Store: memstore.New(memstore.WithClock(clock))}
			c := must(coord.Open(st, coord.Config{Secret: secret}))
			a, b := must(c.Join(t.Context(), "coord-a")), must(c.Join(t.Context(), "coord-b"))
			returned := busyWith(t, a, b)
			if err := finish(c, b); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil { // a second time is harmless
				t.Error(err)
			}
			returned.Wait()
			if n := clock.Pending(); n != 0 {
				t.Errorf("%d timers are left", n)
			}
			if n := st.subscriptions.Load(); n != 0 {
				t.Errorf("%d subscriptions are left", n)
			}
		})
	}
}

// busyWith has every kind of thing under way between a and b. What it has blocked returns when they have left.
func busyWith(t *testing.T, a, b *coord.Coordinator) (returned *sync.WaitGroup) {
	returned = new(sync.WaitGroup)
	var later atomic.Bool
	_, err := b.Handle(func(ctx context.Context, s *coord.Signal) ([]byte, error) {
		if s.Type == "later" {
			later.Store(true)
			return nil, coord.ErrLater
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}, coord.Workers(2))
	if err != nil {
		t.Fatal(err)
	}
	must(a.Post(t.Context(), "coord-b", "later", nil))
	must(a.Post(t.Context(), "coord-b", "stuck", nil))
	must(a.Post(t.Context(), "nobody", "wake", nil))
	returned.Go(func() { _, _ = a.Wait(t.Context()) })
	returned.Go(func() { _, _ = b.Wait(t.Context(), coord.OfType("never")) })
	returned.Go(func() { _, _ = a.Send(t.Context(), "nobody", "wake", nil) })
	for !later.Load() {
		runtime.Gosched()
	}
	return returned
}

// TestW6NoTimerAfterTheWaits: the poll ends by itself when nobody waits for anything any more.
func TestW6NoTimerAfterTheWaits(t *testing.T) {
	in(t, func(t *testing.T) {
		clock := memstore.NewFakeClock(time.Time{})
		b := joinOn(t, memstore.New(memstore.WithClock(clock)), "coord-b", coord.Config{})
		before := clock.Pending()
		for i := range 10 {
			r := waiting(t.Context(), b, coord.Within(time.Duration(i)*time.Second))
			synctest.Wait()
			clock.Advance(10 * time.Second)
			<-r
		}
		clock.Advance(2 * time.Second)
		synctest.Wait()
		if n := clock.Pending(); n != before {
			t.Errorf("%d timers before, %d after", before, n)
		}
		if err := b.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		clock.Advance(5 * time.Second)
		if n := clock.Pending(); n != 0 {
			t.Errorf("%d timers after the last one has left", n)
		}
	})
}

// TestScenarioTenThousandCoordinatorsInOneProcess: idle ones have no goroutine, little memory, and beat in batches.
func TestScenarioTenThousandCoordinatorsInOneProcess(t *testing.T) {
	const many, kib = 10_000, 1 << 10
	clock := memstore.NewFakeClock(time.Time{})
	st := &counted{Store: memstore.New(memstore.WithClock(clock))}
	c := openOn(t, st, coord.Config{})
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	for i := range many {
		must(c.Join(t.Context(), fmt.Sprint("coord-", i)))
	}
	each := (heapInUse() - heap) / many
	t.Logf("%d bytes each, what the store in this process keeps of them included", each)
	if each > 8*kib {
		t.Errorf("%d bytes each", each)
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines became %d", goroutines, n)
	}
	if n := clock.Pending(); n > 2 {
		t.Errorf("%d timers", n)
	}
	clock.Advance(5 * time.Second)
	if beats, batches := st.beats.Load(), st.batches.Load(); beats != many || batches > many/100 {
		t.Errorf("%d beats in %d batches", beats, batches)
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
