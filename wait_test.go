package coord_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// oneWait is a Wait that was drawn, and what became of it.
type oneWait struct {
	start, within, cancel time.Duration // cancel < 0: never
	ended                 time.Duration
	signal                *coord.Signal
	err                   error
}

var errEnough = errors.New("enough")

func (w *oneWait) run(a *coord.Coordinator, begin time.Time) {
	time.Sleep(w.start)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if w.cancel >= 0 {
		time.AfterFunc(w.cancel, func() { cancel(errEnough) })
	}
	w.signal, w.err = a.Wait(ctx, coord.Within(w.within))
	w.ended = time.Since(begin)
}

// check: W1 and, for ends that were not caused by a signal, W2.
func (w *oneWait) check(t *rapid.T) {
	switch {
	case w.signal != nil && w.err == nil:
		if w.ended > w.start+w.within {
			t.Errorf("a signal came %v after the timeout", w.ended-w.start-w.within)
		}
	case w.signal == nil && errors.Is(w.err, coord.ErrTimeout) && !errors.Is(w.err, errEnough):
		if w.ended != w.start+w.within {
			t.Errorf("timed out after %v instead of %v", w.ended-w.start, w.within)
		}
	case w.signal == nil && errors.Is(w.err, errEnough) && !errors.Is(w.err, coord.ErrTimeout):
		if w.ended != w.start+w.cancel {
			t.Errorf("cancelled after %v, returned after %v", w.cancel, w.ended-w.start)
		}
	default:
		t.Errorf("got %+v and %v", w.signal, w.err)
	}
}

func drawStore(t *rapid.T) store.Store {
	all := kinds(memstore.New())
	return all[rapid.SampledFrom([]string{"all", "mute", "deaf", "bare"}).Draw(t, "store")]
}

func seconds(t *rapid.T, from, to int, name string) time.Duration {
	return time.Duration(rapid.IntRange(from*4, to*4).Draw(t, name)) * 250 * time.Millisecond
}

// TestW1ExactlyOneOutcome draws waits, timeouts, cancellations and signals at once. W1: each wait has exactly one outcome. W3: none
// times out while a signal lies there. W4: what was posted is handed over once, or still there.
func TestW1ExactlyOneOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, checkW1) })
}

func checkW1(t *rapid.T) {
	st := drawStore(t)
	a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
	waits := make([]*oneWait, rapid.IntRange(1, 6).Draw(t, "waits"))
	begin, done := time.Now(), make(chan struct{})
	for i := range waits {
		w := &oneWait{start: seconds(t, 0, 8, "start"), within: seconds(t, 0, 8, "within"), cancel: -1}
		if rapid.Bool().Draw(t, "cancelled") {
			w.cancel = seconds(t, 0, 8, "cancel")
		}
		waits[i] = w
		go func() { w.run(b, begin); done <- struct{}{} }()
	}
	posted := map[string]time.Duration{}
	for range rapid.IntRange(0, 6).Draw(t, "signals") {
		time.Sleep(seconds(t, 0, 3, "pause"))
		at := time.Since(begin)
		posted[must(a.Post(context.Background(), "coord-b", "wake", nil))] = at
	}
	for range waits {
		<-done
	}
	handed := checkOutcomes(t, waits, posted)
	checkNothingLost(t, b, posted, handed)
}

// checkOutcomes returns when each signal was handed over.
func checkOutcomes(t *rapid.T, waits []*oneWait, posted map[string]time.Duration) map[string]time.Duration {
	handed := map[string]time.Duration{}
	for _, w := range waits {
		w.check(t)
		if w.signal == nil {
			continue
		}
		if _, twice := handed[w.signal.ID]; twice {
			t.Errorf("handed over twice")
		}
		handed[w.signal.ID] = w.ended
	}
	for _, w := range waits { // W3
		for id, at := range posted {
			taken, ok := handed[id]
			if errors.Is(w.err, coord.ErrTimeout) && at < w.ended && (!ok || taken > w.ended) {
				t.Errorf("timed out at %v, though a signal lay there since %v", w.ended, at)
			}
		}
	}
	return handed
}

// checkNothingLost: W4.
func checkNothingLost(t *rapid.T, b *coord.Coordinator, posted, handed map[string]time.Duration) {
	for s, ok := b.TryWait(context.Background()); ok; s, ok = b.TryWait(context.Background()) {
		if _, twice := handed[s.ID]; twice {
			t.Errorf("handed over twice")
		}
		handed[s.ID] = -1
	}
	if len(handed) != len(posted) {
		t.Errorf("%d posted, %d handed over", len(posted), len(handed))
	}
}

// TestW2TimeoutIsExact: on fake time a wait ends at T, neither before nor after, with every kind of store.
func TestW2TimeoutIsExact(t *testing.T) {
	for _, within := range []time.Duration{0, time.Nanosecond, 10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute} {
		for kind := range kinds(nil) {
			t.Run(fmt.Sprint(kind, within), func(t *testing.T) {
				in(t, func(t *testing.T) {
					b := joinOn(t, kinds(memstore.New())[kind], "coord-b", coord.Config{})
					r := <-waiting(t.Context(), b, coord.Within(within))
					if !errors.Is(r.err, coord.ErrTimeout) || errors.Is(r.err, coord.ErrUnavailable) || r.took != within {
						t.Errorf("after %v: %v", r.took, r.err)
					}
				})
			})
		}
	}
}

// TestW2OnTheFakeClock is the same offline: the clock is moved by hand.
func TestW2OnTheFakeClock(t *testing.T) {
	in(t, func(t *testing.T) {
		clock := memstore.NewFakeClock(time.Time{})
		b := joinOn(t, memstore.New(memstore.WithClock(clock)), "coord-b", coord.Config{})
		r := waiting(t.Context(), b, coord.Within(30*time.Minute))
		synctest.Wait()
		clock.Advance(30*time.Minute - 1)
		synctest.Wait()
		select {
		case r := <-r:
			t.Fatalf("early: %v", r.err)
		default:
		}
		clock.Advance(1)
		if r := <-r; !errors.Is(r.err, coord.ErrTimeout) {
			t.Fatal(r.err)
		}
	})
}

// TestNoTimeLeft: nothing to wait for needs no clock that moves.
func TestNoTimeLeft(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	a := joinOn(t, memstore.New(memstore.WithClock(clock)), "coord-a", coord.Config{})
	if _, err := a.Wait(t.Context(), coord.Within(0)); !errors.Is(err, coord.ErrTimeout) {
		t.Error(err)
	}
	if _, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(-1)); !errors.Is(err, coord.ErrTimeout) {
		t.Error(err)
	}
}

// TestW3ATieGoesToTheSignal: what is visible at the timeout is returned, though no hint told of it.
func TestW3ATieGoesToTheSignal(t *testing.T) {
	for kind := range kinds(nil) {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
				clock := memstore.NewFakeClock(time.Time{})
				st := kinds(memstore.New(memstore.WithClock(clock)))[kind]
				cfg := coord.Config{Clock: clock, Poll: time.Hour} // no poll finds it
				a, b := joinOn(t, st, "coord-a", cfg), joinOn(t, st, "coord-b", cfg)
				// A timer that was set earlier goes first: the signal is visible at the moment of the timeout.
				clock.AfterFunc(time.Minute, func() { must(a.Post(context.Background(), "coord-b", "wake", nil)) })
				r := waiting(t.Context(), b, coord.Within(time.Minute))
				synctest.Wait()
				clock.Advance(time.Minute)
				if r := <-r; r.err != nil {
					t.Error(r.err)
				}
			})
		})
	}
}

// TestW4TimeoutAndCancelConsumeNothing: the next wait gets everything, in order (R15).
func TestW4TimeoutAndCancelConsumeNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := waiting(ctx, b, coord.OfType("other"))
		expired := waiting(t.Context(), b, coord.OfType("other"), coord.Within(time.Second))
		both := waiting(t.Context(), b, coord.From("nobody"), coord.OfType("wake"), coord.Within(time.Second))
		for i := range 5 {
			must(a.Post(t.Context(), "coord-b", "wake", fmt.Append(nil, i)))
		}
		time.Sleep(2 * time.Second)
		cancel()
		if r := <-cancelled; !errors.Is(r.err, context.Canceled) {
			t.Error(r.err)
		}
		if r := <-expired; !errors.Is(r.err, coord.ErrTimeout) {
			t.Error(r.err)
		}
		if r := <-both; !errors.Is(r.err, coord.ErrTimeout) {
			t.Error(r.err)
		}
		for i := range 5 {
			if s := must(b.Wait(t.Context())); string(s.Payload) != fmt.Sprint(i) {
				t.Errorf("%d: got %s", i, s.Payload)
			}
		}
	})
}

// TestW4CancelAndSignalAtOnce: whoever of the two comes first, the signal is either returned or still there. A wait that
// takes long to match leaves room for the cancellation to fall between the choice of the wait and the hand-over.
func TestW4CancelAndSignalAtOnce(t *testing.T) {
	st := memstore.New()
	a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
	slow := append(slices.Repeat([]string{"wakx"}, 200_000), "wake")
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		r := waiting(ctx, b, coord.OfType(slow...))
		time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
		id := must(a.Post(t.Context(), "coord-b", "wake", nil))
		got := <-r
		if got.err != nil {
			if s, ok := b.TryWait(t.Context()); !ok || s.ID != id {
				t.Fatalf("%d: lost: %+v", i, s)
			}
		}
	}
}

// TestW4ManyCancelledAtOnce: a signal that was about to be given to a wait that has just gone is not lost either.
func TestW4ManyCancelledAtOnce(t *testing.T) {
	const many = 100
	st := memstore.New()
	a := joinOn(t, st, "coord-a", coord.Config{})
	for round := range 30 {
		b := joinOn(t, st, fmt.Sprint("coord-b", round), coord.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		var results []<-chan waitResult
		for range many {
			results = append(results, waiting(ctx, b))
		}
		for i := range many {
			must(a.Post(t.Context(), b.ID(), "wake", nil))
			if i == many/4 {
				go cancel()
			}
		}
		n := 0
		for _, r := range results {
			if (<-r).err == nil {
				n++
			}
		}
		for _, ok := b.TryWait(t.Context()); ok; _, ok = b.TryWait(t.Context()) {
			n++
		}
		if n != many {
			t.Fatalf("%d of %d", n, many)
		}
		cancel()
	}
}

// TestW5WithEveryHintLost: latency is at most one poll period.
func TestW5WithEveryHintLost(t *testing.T) {
	for _, kind := range []string{"mute", "deaf", "bare"} {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				rapid.SyncTest(t, func(t *rapid.T) { checkW5(t, kinds(memstore.New())[kind]) })
			})
		})
	}
}

func checkW5(t *rapid.T, st store.Store) {
	poll := time.Duration(rapid.IntRange(1, 3000).Draw(t, "poll ms")) * time.Millisecond
	cfg := coord.Config{Poll: poll}
	a, b := joinOn(t, st, "coord-a", cfg), joinOn(t, st, "coord-b", cfg)
	began := time.Now()
	r := waiting(context.Background(), b)
	time.Sleep(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "pause ms")) * time.Millisecond)
	posted := time.Since(began)
	must(a.Post(context.Background(), "coord-b", "wake", nil))
	if r := <-r; r.err != nil || r.took-posted > poll {
		t.Errorf("%v after it was posted: %v", r.took-posted, r.err)
	}
}

// TestW5Acknowledgement: the ACK too is found without hints, within a poll at each end and one to begin with.
func TestW5Acknowledgement(t *testing.T) {
	for _, kind := range []string{"mute", "deaf", "bare"} {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st := kinds(memstore.New())[kind]
				a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
				stop := must(b.Handle(echo))
				defer stop()
				for range 20 {
					ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
					if err != nil || ack.Latency > 3*coord.DefaultPoll {
						t.Fatalf("%+v, %v", ack, err)
					}
				}
			})
		})
	}
}
