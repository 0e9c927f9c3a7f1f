package memstore_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/store/memstore"
)

func TestFakeClockStart(t *testing.T) {
	date := time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)
	if now := memstore.NewFakeClock(date).Now(); !now.Equal(date) {
		t.Errorf("the clock shows %v, want %v", now, date)
	}
	if now := memstore.NewFakeClock(time.Time{}).Now(); now.Year() != 2000 {
		t.Errorf("the clock shows %v", now)
	}
}

func TestCallbacksRunInOrder(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	start := clock.Now()
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, fmt.Sprint(name, clock.Now().Sub(start))) }
	}
	clock.AfterFunc(3*time.Second, note("c"))
	clock.AfterFunc(time.Second, func() {
		note("a")()
		clock.AfterFunc(time.Second, note("b")) // due before c, and due in this Advance
		clock.AfterFunc(0, note("at once"))
		clock.AfterFunc(time.Hour, note("never"))
	})
	clock.AfterFunc(3*time.Second, note("d"))
	clock.AfterFunc(-time.Second, note("past"))
	clock.Advance(10 * time.Second)
	want := []string{"past0s", "a1s", "at once1s", "b2s", "c3s", "d3s"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if passed := clock.Now().Sub(start); passed != 10*time.Second {
		t.Errorf("the clock shows %v, want 10s", passed)
	}
}

func TestStop(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	var own, other func() bool
	other = clock.AfterFunc(time.Second, func() { t.Error("a stopped callback ran") })
	if clock.Pending() != 1 || !other() || other() || clock.Pending() != 0 {
		t.Error("stop does not report once that it prevented the call")
	}
	own = clock.AfterFunc(time.Second, func() {
		if own() {
			t.Error("stop prevented a call that is under way")
		}
		if !other() {
			t.Error("a callback cannot stop a later one of its own deadline")
		}
	})
	other = clock.AfterFunc(time.Second, func() { t.Error("a stopped callback ran") })
	clock.Advance(time.Second)
}

func TestNext(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	if _, ok := clock.Next(); ok {
		t.Error("an idle clock has a next deadline")
	}
	stop := clock.AfterFunc(time.Minute, func() {})
	clock.AfterFunc(time.Hour, func() {})
	if next, ok := clock.Next(); !ok || next.Sub(clock.Now()) != time.Minute {
		t.Errorf("Next = %v, %t", next, ok)
	}
	stop()
	if next, ok := clock.Next(); !ok || next.Sub(clock.Now()) != time.Hour {
		t.Errorf("Next = %v, %t", next, ok)
	}
}

// Advance inside a callback lengthens the journey under way, and no callback is overtaken.
func TestAdvanceInACallback(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	start := clock.Now()
	var got []time.Duration
	note := func() { got = append(got, clock.Now().Sub(start)) }
	clock.AfterFunc(time.Second, func() {
		clock.Advance(5 * time.Second)
		note()
	})
	clock.AfterFunc(2*time.Second, note)
	clock.AfterFunc(6*time.Second, note)
	clock.AfterFunc(8*time.Second, note)
	clock.Advance(2 * time.Second)
	if want := []time.Duration{time.Second, 2 * time.Second, 6 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("callbacks ran at %v, want %v", got, want)
	}
	if passed := clock.Now().Sub(start); passed != 7*time.Second {
		t.Errorf("the clock shows %v, want 7s", passed)
	}
}

func TestConcurrentAdvances(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	start := clock.Now()
	var last, calls atomic.Int64
	for i := range 1000 {
		clock.AfterFunc(time.Duration(i)*time.Millisecond, func() {
			calls.Add(1)
			if now := clock.Now().Sub(start); now != time.Duration(i)*time.Millisecond || last.Swap(int64(now)) > int64(now) {
				t.Errorf("callback %d ran at %v", i, now)
			}
		})
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 100 {
				clock.Advance(time.Millisecond)
			}
		})
	}
	group.Wait()
	if passed := clock.Now().Sub(start); passed != time.Second || calls.Load() != 1000 {
		t.Errorf("after %v, %d callbacks ran", passed, calls.Load())
	}
}

// A callback that panics ends its Advance; the clock stays usable, and stays where the callback saw it.
func TestPanicInACallback(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	start := clock.Now()
	clock.AfterFunc(time.Second, func() { panic("mine") })
	func() {
		defer func() { _ = recover() }()
		clock.Advance(time.Minute)
	}()
	ran := false
	clock.AfterFunc(time.Second, func() { ran = true })
	if clock.Advance(time.Second); !ran || clock.Now().Sub(start) != 2*time.Second {
		t.Errorf("ran %t, at %v", ran, clock.Now().Sub(start))
	}
}

// Any set of timers runs sorted by deadline, then by creation, each at its own time, however the journey is divided.
func TestOrderOfAnyTimers(t *testing.T) {
	type call struct{ at, created int }
	rapid.Check(t, func(t *rapid.T) {
		clock := memstore.NewFakeClock(time.Time{})
		start := clock.Now()
		delays := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 30).Draw(t, "delays")
		var got, want []call
		for i, d := range delays {
			want = append(want, call{d, i})
			clock.AfterFunc(time.Duration(d), func() { got = append(got, call{int(clock.Now().Sub(start)), i}) })
		}
		slices.SortStableFunc(want, func(a, b call) int { return a.at - b.at })
		for moved := 0; moved <= 20; {
			step := rapid.IntRange(0, 21).Draw(t, "step")
			clock.Advance(time.Duration(step))
			moved += max(step, 1)
		}
		clock.Advance(20)
		if !slices.Equal(got, want) {
			t.Fatalf("ran %v, want %v", got, want)
		}
	})
}
