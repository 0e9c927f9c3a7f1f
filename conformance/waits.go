package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// waits are played with package coord itself. They need a clock that the driver shares, for time must stand still while
// goroutines settle.
var waits = []struct {
	name  string
	check func(*waiting)
}{
	{"W1/exactly one outcome", checkOutcomes},
	{"W2/the timeout is exact", checkTimeouts},
	{"W3/a tie goes to the signal", checkTie},
	{"W4/timeout and cancel consume nothing", checkNothingConsumed},
	{"W5/no hint is needed", checkPolled},
}

func playWaits(t *testing.T, open func(testing.TB) Instance) {
	hung := false
	for _, w := range waits {
		t.Run(w.name, func(t *testing.T) {
			if store.CapabilitiesOf(opened(t, open).Store).Clock == nil {
				t.Skip("the driver shares no clock")
			}
			if hung {
				t.Skip("the driver's goroutines do not settle, as was said before")
			}
			for _, capable := range []bool{true, false} {
				hung = hung || !settles(t, patience, func(t *testing.T, alive func()) {
					defer explain(t, w.name[:2])
					w.check(newWaiting(t, opened(t, open), capable, alive))
				})
			}
			if hung {
				t.Fatalf(unsettled, patience)
			}
		})
	}
}

const unsettled = "nothing went on for %v: some goroutine of the driver never blocks as package testing/synctest demands, " +
	"for it reads from a socket or waits for a mutex or a system call. A driver that shares a clock (store.Capabilities.Clock) " +
	"needs goroutines that block on channels and timers alone; one with a connection leaves its clock out of this test"

// settles plays f in a bubble, and reports false once it has shown no sign of life for so long in real time. Then its
// goroutines are left behind: nothing can end them.
func settles(t *testing.T, patience time.Duration, f func(t *testing.T, alive func())) bool {
	var signs atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		synctest.Test(t, func(t *testing.T) { f(t, func() { signs.Add(1) }) })
	}()
	for before := int64(-1); before != signs.Load(); {
		before = signs.Load()
		select {
		case <-done:
			return true
		case <-time.After(patience):
		}
	}
	return false
}

func explain(t *testing.T, name string) {
	if t.Failed() {
		t.Logf("broken invariant %s: %s", name, invariants[name])
	}
}

// waiting is two coordinators in a bubble, on one store, at the time of its clock.
type waiting struct {
	*testing.T
	advance func(time.Duration)
	clock   store.Clock
	a, b    *coord.Coordinator
	alive   func() // says that something goes on
}

func newWaiting(t *testing.T, instance Instance, capable bool, alive func()) *waiting {
	w := &waiting{T: t, alive: alive, advance: instance.Advance, clock: store.CapabilitiesOf(instance.Store).Clock}
	s := instance.Store
	if !capable {
		s = onlyClock{s}
	}
	w.a, w.b = w.join(s, "a"), w.join(s, "b")
	return w
}

// onlyClock hides every capability but the clock: without hints, all of them are lost.
type onlyClock struct{ store.Store }

func (o onlyClock) Capabilities() store.Capabilities {
	return store.Capabilities{Clock: store.CapabilitiesOf(o.Store).Clock}
}

func (w *waiting) join(s store.Store, id string) *coord.Coordinator {
	w.Helper()
	c, err := coord.Open(s, coord.Config{Namespace: "conformance", Secret: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	a, err := c.Join(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// pass lets d pass, a second at a time, and lets everybody do what they have to after each.
func (w *waiting) pass(d time.Duration) {
	synctest.Wait()
	for ; d > 0; d -= time.Second {
		w.advance(min(d, time.Second))
		synctest.Wait()
		w.alive()
	}
}

func (w *waiting) post(payload string) {
	if _, err := w.a.Post(context.Background(), "b", "wake", []byte(payload)); err != nil {
		w.Error(err)
	}
}

// wait is a Wait of b in a goroutine of its own, and what became of it.
type wait struct {
	began, ended   time.Time
	within, cancel time.Duration // cancel 0: never
	signal         *coord.Signal
	err            error
	stop           context.CancelFunc
}

func (w *waiting) wait(within time.Duration, opts ...coord.Option) *wait {
	ctx, stop := context.WithCancel(context.Background())
	one := &wait{began: w.clock.Now(), within: within, stop: stop}
	go func() {
		one.signal, one.err = w.b.Wait(ctx, append(opts, coord.Within(within))...)
		one.ended = w.clock.Now()
	}()
	return one
}

func (one *wait) took() time.Duration { return one.ended.Sub(one.began) }

// mustEnd demands that the wait is over, with an error.
func (w *waiting) mustEnd(one *wait, want error, after time.Duration) {
	w.Helper()
	if one.ended.IsZero() {
		w.Errorf("a wait of %v that was to end after %v has not", one.within, after)
	} else if one.signal != nil || !errors.Is(one.err, want) || one.took() != after {
		w.Errorf("a wait of %v ended after %v with %v, %v; want %v after %v",
			one.within, one.took(), one.signal, one.err, want, after)
	}
}

// checkOutcomes draws waits, timeouts, cancellations and signals, second by second.
func checkOutcomes(w *waiting) {
	const seconds, seeds = 12, 20
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 0))
		var all []*wait
		posted := map[string]bool{}
		for second := range seconds {
			for range r.IntN(2) {
				one := w.wait(time.Duration(1+r.IntN(4)) * time.Second)
				one.cancel = time.Duration(r.IntN(5)) * time.Second
				all = append(all, one)
			}
			if r.IntN(3) == 0 {
				name := fmt.Sprint(seed, "-", second)
				posted[name] = true
				w.post(name)
			}
			w.pass(time.Second)
			w.cancelDue(all)
		}
		w.pass(2 * seconds * time.Second)
		w.judge(all, posted)
	}
}

func (w *waiting) cancelDue(all []*wait) {
	for _, one := range all {
		if one.cancel > 0 && w.clock.Now().Sub(one.began) >= one.cancel {
			one.stop()
		}
	}
	synctest.Wait()
}

// judge: every wait has one outcome in its time, and every signal was handed over once, or is there.
func (w *waiting) judge(all []*wait, posted map[string]bool) {
	for _, one := range all {
		switch {
		case one.ended.IsZero():
			w.Errorf("a wait of %v does not end", one.within)
		case one.signal != nil && one.err == nil && one.took() <= one.within && posted[string(one.signal.Payload)]:
			delete(posted, string(one.signal.Payload))
		case one.err == nil || one.signal != nil:
			w.Errorf("a wait of %v ended after %v with %+v, %v", one.within, one.took(), one.signal, one.err)
		case errors.Is(one.err, context.Canceled):
			w.mustEnd(one, context.Canceled, one.cancel)
		default:
			w.mustEnd(one, coord.ErrTimeout, one.within)
		}
		one.stop()
	}
	for s, ok := w.b.TryWait(context.Background()); ok; s, ok = w.b.TryWait(context.Background()) {
		if !posted[string(s.Payload)] {
			w.Errorf("%s was handed over twice", s.Payload)
		}
		delete(posted, string(s.Payload))
	}
	if len(posted) > 0 {
		w.Errorf("lost: %v", posted)
	}
}

func checkTimeouts(w *waiting) {
	for _, within := range []time.Duration{time.Nanosecond, time.Millisecond, time.Second, time.Minute, 30 * time.Minute} {
		one := w.wait(within)
		w.pass(within - 1)
		if !one.ended.IsZero() {
			w.Errorf("a wait of %v ended early: %v", within, one.err)
		}
		w.pass(1)
		w.mustEnd(one, coord.ErrTimeout, within)
	}
}

// checkTie: a timer that was set earlier goes first, so the signal is visible at the moment of the timeout.
func checkTie(w *waiting) {
	w.clock.AfterFunc(time.Minute, func() { w.post("tie") })
	one := w.wait(time.Minute)
	w.pass(time.Minute)
	if one.err != nil || one.signal == nil {
		w.Errorf("got %v, %v", one.signal, one.err)
	}
}

func checkNothingConsumed(w *waiting) {
	expired, cancelled := w.wait(time.Second, coord.OfType("other")), w.wait(time.Minute, coord.OfType("other"))
	for i := range 5 {
		w.post(fmt.Sprint(i))
	}
	w.pass(2 * time.Second)
	cancelled.stop()
	synctest.Wait()
	w.mustEnd(expired, coord.ErrTimeout, time.Second)
	w.mustEnd(cancelled, context.Canceled, 2*time.Second)
	for i := range 5 {
		one := w.wait(time.Minute)
		w.pass(coord.DefaultPoll)
		if one.err != nil || one.signal == nil || string(one.signal.Payload) != fmt.Sprint(i) {
			w.Errorf("signal %d: got %+v, %v", i, one.signal, one.err)
		}
	}
}

// checkPolled: a signal is found at the next poll at the latest.
func checkPolled(w *waiting) {
	one := w.wait(time.Hour)
	w.pass(1500 * time.Millisecond)
	w.post("late")
	w.pass(coord.DefaultPoll)
	if one.err != nil || one.signal == nil {
		w.Errorf("a poll period after it was posted: got %v, %v", one.signal, one.err)
	}
}
