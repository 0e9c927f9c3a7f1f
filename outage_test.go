package coord_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

// bothOn are a sender and a receiver on a store behind breakers of their own.
func bothOn(t tester, u *unsteady, seen *record) (a, b *coord.Coordinator) {
	t.Helper()
	cfg := coord.Config{Observer: seen}
	return joinOn(t, breaker.Wrap(u), "coord-a", cfg), joinOn(t, breaker.Wrap(u), "coord-b", cfg)
}

// breakerPeriod is how long after an outage an operation may still fail: the longest pause between two attempts, or the
// time that the breaker stays open, and a poll.
const breakerPeriod = breaker.DefaultMaxDelay + coord.DefaultPoll

// TestSendOutlastsAnOutage: however long the store is away, a Send that has the time gets its ACK.
func TestSendOutlastsAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			in(t, func(t *testing.T) {
				u := newUnsteady()
				a, b := bothOn(t, u, &record{})
				stop := must(b.Handle(echo))
				defer stop()
				u.down.Store(true)
				time.AfterFunc(outage, func() { u.down.Store(false) })
				ack, err := a.Send(t.Context(), "coord-b", "wake", []byte("x"))
				if err != nil || string(ack.Result) != "x" {
					t.Fatalf("%+v, %v", ack, err)
				}
				if late := ack.Latency - outage; late > 30*time.Second {
					t.Errorf("%v after the end of the outage", late)
				}
			})
		})
	}
}

// TestWaitOutlastsAnOutage: the wait ends at its timeout if the store is away all the time, and says so; else the
// signal is found.
func TestWaitOutlastsAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		a, b := bothOn(t, u, &record{})
		u.down.Store(true)
		r := <-waiting(t.Context(), b, coord.Within(time.Minute))
		if !errors.Is(r.err, coord.ErrTimeout) || !errors.Is(r.err, coord.ErrUnavailable) || r.took != time.Minute {
			t.Errorf("after %v: %v", r.took, r.err)
		}
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(time.Minute)); !errors.Is(err, coord.ErrNoAck) ||
			!errors.Is(err, coord.ErrTimeout) || !errors.Is(err, coord.ErrUnavailable) {
			t.Error(err)
		}
		waits := waiting(t.Context(), b)
		time.Sleep(time.Minute)
		u.down.Store(false)
		up := time.Now()
		go func() { _, _ = a.Send(t.Context(), "coord-b", "wake", nil) }()
		if r := <-waits; r.err != nil || time.Since(up) > 2*breakerPeriod {
			t.Errorf("%v after the outage: %v", time.Since(up), r.err)
		}
	})
}

// TestStoreLoss: an empty store in place of the old one. What is not acknowledged is posted again, everybody registers
// and beats again, and the signals arrive.
func TestStoreLoss(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen := newUnsteady(), &record{}
		a, b := bothOn(t, u, seen)
		must(a.Post(t.Context(), "coord-b", "before", nil))
		must(b.Wait(t.Context()))
		time.Sleep(10 * time.Second) // the ACK is seen
		for i := range 5 {
			must(a.Post(t.Context(), "coord-b", "wake", fmt.Append(nil, i)))
		}
		sent := make(chan error, 1)
		go func() { _, err := a.Send(t.Context(), "coord-b", "sent", nil); sent <- err }()
		synctest.Wait()
		u.lose()
		got := map[string]bool{}
		for range 6 {
			r := <-waiting(t.Context(), b, coord.Within(2*time.Minute))
			if r.err != nil {
				t.Fatalf("got %v, then %v", got, r.err)
			}
			got[r.signal.Type+string(r.signal.Payload)] = true
		}
		if err := <-sent; err != nil || len(got) != 6 || got["before"] {
			t.Errorf("%v, got %v", err, got)
		}
		if s, again := b.TryWait(t.Context()); again {
			t.Errorf("twice: %+v", s)
		}
		checkRegressed(t, u, seen)
	})
}

func checkRegressed(t *testing.T, u *unsteady, seen *record) {
	t.Helper()
	regressed := of[coord.StoreRegressed](seen)
	if len(regressed) < 2 || !errors.Is(regressed[0].Err, coord.ErrStoreRegressed) {
		t.Errorf("told: %v", regressed)
	}
	time.Sleep(coord.DefaultPolicy().Beat + time.Second)
	for _, prefix := range []string{"blocking:heartbeat:", "blocking:{members}:entry:"} {
		if keys := must(u.Keys(t.Context(), prefix)); len(keys) < 2 {
			t.Errorf("%s: %v", prefix, keys)
		}
	}
}

// TestStoreLossInTheMiddleOfAnOutage: the recovery itself is interrupted, and is done again until it is whole.
func TestStoreLossInTheMiddleOfAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen := newUnsteady(), &record{}
		c := openOn(t, u, coord.Config{Observer: seen})
		a, b := must(c.Join(t.Context(), "coord-a")), must(c.Join(t.Context(), "coord-b"))
		must(a.Post(t.Context(), "coord-b", "wake", nil))
		seen.then = func(e coord.Event) {
			if _, ok := e.(coord.StoreRegressed); ok && len(of[coord.StoreRegressed](seen)) == 1 {
				u.down.Store(true) // after the generation was written and before anything else is
			}
		}
		u.lose()
		time.AfterFunc(30*time.Second, func() { u.down.Store(false) })
		if r := <-waiting(t.Context(), b, coord.Within(5*time.Minute)); r.err != nil {
			t.Error(r.err)
		}
		checkRegressed(t, u, seen)
	})
}

// TestSuspended: no good beat for one TTL suspends; the next good one resumes the same incarnation.
func TestSuspended(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen := newUnsteady(), &record{}
		a := joinOn(t, breaker.Wrap(u), "coord-a", coord.Config{Observer: seen})
		ttl := coord.DefaultPolicy().TTL
		u.down.Store(true)
		time.Sleep(ttl - 15*time.Second)
		if err := a.Suspended(); err != nil {
			t.Errorf("early: %v", err)
		}
		time.Sleep(20 * time.Second)
		if err := a.Suspended(); !errors.Is(err, coord.ErrSuspended) || len(of[coord.Suspended](seen)) != 1 {
			t.Errorf("%v, %v", err, of[coord.Suspended](seen))
		}
		u.down.Store(false)
		time.Sleep(coord.DefaultPolicy().Beat + time.Second)
		if err := a.Suspended(); err != nil || len(of[coord.Resumed](seen)) != 1 || a.Context().Err() != nil {
			t.Errorf("%v, %v", err, of[coord.Resumed](seen))
		}
	})
}

// TestBeatsDoNotQueueBehindABackoff: while every operation of the process is busy with retries, the heart beats on (B6).
func TestBeatsDoNotQueueBehindABackoff(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen := newUnsteady(), &record{}
		a, _ := bothOn(t, u, seen)
		u.down.Store(true)
		go func() { _, _ = a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(2*time.Minute)) }()
		before := len(of[coord.Beat](seen))
		time.Sleep(time.Minute + time.Second)
		if n := len(of[coord.Beat](seen)) - before; n < 2*11 {
			t.Errorf("%d beats of two in a minute", n)
		}
	})
}

// TestBeatsDoNotQueueBehindARecovery: it is a beat that notices the loss, but it does not do what follows from it (B6).
func TestBeatsDoNotQueueBehindARecovery(t *testing.T) {
	in(t, func(t *testing.T) {
		u, seen := newUnsteady(), &record{}
		joinOn(t, breaker.Wrap(u), "coord-a", coord.Config{Observer: seen})
		seen.then = func(e coord.Event) {
			if _, ok := e.(coord.StoreRegressed); ok {
				u.down.Store(true) // so that registering again takes 15 s
			}
		}
		u.lose()
		time.Sleep(time.Minute + time.Millisecond)
		if n := len(of[coord.Beat](seen)); n != 1+12 {
			t.Errorf("%d beats in a minute", n)
		}
	})
}

// TestScenarioStoreRestartedFiveTimes: five coordinators ask each other all the time. All are back within one breaker
// period, no signal is lost, no heartbeat expires.
func TestScenarioStoreRestartedFiveTimes(t *testing.T) {
	in(t, func(t *testing.T) {
		const many = 5
		u, seen := newUnsteady(), &record{}
		done := make(chan int, many)
		for i := range many {
			a := joinOn(t, breaker.Wrap(u), fmt.Sprint("coord-", i), coord.Config{Observer: seen})
			t.Cleanup(must(a.Handle(echo)))
			go func() {
				n := 0
				for began := time.Now(); time.Since(began) < 5*time.Minute; n++ {
					must(a.Send(t.Context(), fmt.Sprint("coord-", (i+1)%many), "wake", nil))
					time.Sleep(time.Second)
				}
				done <- n
			}()
		}
		for range 5 {
			time.Sleep(30 * time.Second)
			u.down.Store(true)
			time.Sleep(20*time.Second + time.Millisecond) // not at the moment of a beat
			u.down.Store(false)
			checkBack(t, u, seen, many)
		}
		for range many {
			if n := <-done; n < 20 {
				t.Errorf("only %d rounds in five minutes", n)
			}
		}
		if n := len(of[coord.Suspended](seen)) + len(of[coord.Fenced](seen)); n > 0 {
			t.Errorf("%d were believed dead", n)
		}
	})
}

// checkBack: every heart beats again within 10 s of the reconnection.
func checkBack(t *testing.T, u *unsteady, seen *record, many int) {
	t.Helper()
	before := len(of[coord.HeartbeatResumed](seen))
	time.Sleep(10 * time.Second)
	if n := len(of[coord.HeartbeatResumed](seen)) - before; n != many {
		t.Errorf("%d of %d beat again", n, many)
	}
	if keys := must(u.Keys(t.Context(), "blocking:heartbeat:")); len(keys) != many {
		t.Errorf("heartbeats: %v", keys)
	}
}

// TestScenarioPartitions: cut off for five minutes, for ten seconds, and three times for 30 s with 30 s between. A signal
// that was sent at the beginning is acknowledged within one breaker period and a beat of the end.
func TestScenarioPartitions(t *testing.T) {
	for name, cuts := range map[string][]time.Duration{
		"5m":       {5 * time.Minute},
		"10s":      {10 * time.Second},
		"flapping": {30 * time.Second, 30 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				shared := newUnsteady()
				away := &unsteady{clock: store.SystemClock}
				away.inner.Store(shared.inner.Load())
				a := joinOn(t, breaker.Wrap(shared), "coord-a", coord.Config{})
				b := joinOn(t, breaker.Wrap(away), "coord-b", coord.Config{})
				t.Cleanup(must(b.Handle(echo)))
				for _, cut := range cuts {
					away.down.Store(true)
					id := make(chan time.Duration, 1)
					go func() { id <- must(a.Send(t.Context(), "coord-b", "wake", nil)).Latency }()
					time.Sleep(cut)
					away.down.Store(false)
					if late := <-id - cut; late > breakerPeriod+coord.DefaultPolicy().Beat {
						t.Errorf("%v after the cut of %v", late, cut)
					}
					time.Sleep(30 * time.Second)
				}
			})
		})
	}
}
