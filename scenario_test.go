package coord_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// tally counts hand-overs by signal id.
type tally struct {
	mu    sync.Mutex
	times map[string]int
}

func (c *tally) handle(_ context.Context, s *coord.Signal) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[string]int{}
	}
	c.times[s.ID]++
	return []byte(s.ID), nil
}

// checkOnce: n signals, each of them once.
func (c *tally) checkOnce(t *testing.T, n int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.times) != n {
		t.Errorf("%d of %d handed over", len(c.times), n)
	}
	for id, times := range c.times {
		if times != 1 {
			t.Errorf("%s was handed over %d times", id, times)
		}
	}
}

// TestScenarioHundredSignalsAtOnce: 100 senders, one receiver: all received, once each, each acknowledged (R1).
func TestScenarioHundredSignalsAtOnce(t *testing.T) {
	for kind := range kinds(nil) {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st := kinds(memstore.New())[kind]
				c, b := openOn(t, st, coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
				var got tally
				t.Cleanup(must(b.Handle(got.handle)))
				var all sync.WaitGroup
				for i := range 100 {
					a := must(c.Join(t.Context(), fmt.Sprint("coord-", i)))
					all.Go(func() {
						ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
						if err != nil || string(ack.Result) != ack.SignalID {
							t.Errorf("%+v, %v", ack, err)
						}
					})
				}
				all.Wait()
				got.checkOnce(t, 100)
			})
		})
	}
}

// TestScenarioWaitForAll: 100 signals that were posted before anybody waits; as many waits, one after another and at once.
func TestScenarioWaitForAll(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		for range 100 {
			must(a.Post(t.Context(), "coord-b", "validated", nil))
		}
		var got tally
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _, _ = got.handle(t.Context(), must(b.Wait(t.Context(), coord.OfType("validated")))) })
		}
		all.Wait()
		for range 50 {
			_, _ = got.handle(t.Context(), must(b.Wait(t.Context())))
		}
		got.checkOnce(t, 100)
	})
}

// TestScenarioThousandSignalsAMinute over 20 coordinators, for ten minutes: attempted = acknowledged + reported, and
// nothing was reported.
func TestScenarioThousandSignalsAMinute(t *testing.T) {
	in(t, func(t *testing.T) {
		const many, each = 20, 500 // one every 1.2 s from each, for ten minutes
		c, seen := &tally{}, &record{}
		client := openOn(t, memstore.New(), coord.Config{Observer: seen})
		members := make([]*coord.Coordinator, many)
		for i := range members {
			members[i] = must(client.Join(t.Context(), fmt.Sprint("coord-", i)))
			t.Cleanup(must(members[i].Handle(c.handle)))
		}
		var all sync.WaitGroup
		var acknowledged, reported atomic.Int64
		for i, a := range members {
			all.Go(func() {
				for n := range each {
					time.Sleep(1200 * time.Millisecond)
					to := fmt.Sprint("coord-", (i+1+n%(many-1))%many)
					if _, err := a.Send(t.Context(), to, "state", nil); err != nil {
						reported.Add(1)
					} else {
						acknowledged.Add(1)
					}
				}
			})
		}
		all.Wait()
		if acknowledged.Load() != many*each || reported.Load() != 0 {
			t.Errorf("%d acknowledged, %d reported", acknowledged.Load(), reported.Load())
		}
		if n := len(of[coord.SignalPosted](seen)); n != many*each {
			t.Errorf("%d posts: some signals were posted again", n)
		}
		c.checkOnce(t, many*each)
	})
}

// TestScenarioHundredCoordinatorsWithTimeouts of 1 to 10 minutes, and a signal every 5 s to one of them in turn: none
// hangs, all finish, each with its signal or exactly at its timeout.
func TestScenarioHundredCoordinatorsWithTimeouts(t *testing.T) {
	in(t, func(t *testing.T) {
		const many = 100
		st := memstore.New()
		c, a := openOn(t, st, coord.Config{}), joinOn(t, st, "coord-a", coord.Config{})
		results := make([]<-chan waitResult, many)
		within := func(i int) time.Duration { return time.Duration(1+i%10) * time.Minute }
		for i := range results {
			b := must(c.Join(t.Context(), fmt.Sprint("coord-", i)))
			results[i] = waiting(t.Context(), b, coord.Within(within(i)))
		}
		synctest.Wait()
		go func() {
			for i := range many {
				time.Sleep(5 * time.Second)
				must(a.Post(t.Context(), fmt.Sprint("coord-", i), "wake", nil))
			}
		}()
		for i, result := range results {
			r, sent := <-result, time.Duration(i+1)*5*time.Second
			switch {
			case sent < within(i) && (r.err != nil || r.took != sent):
				t.Errorf("%d: after %v instead of %v: %v", i, r.took, sent, r.err)
			case sent > within(i) && (!errors.Is(r.err, coord.ErrTimeout) || r.took != within(i)):
				t.Errorf("%d: after %v instead of %v: %v", i, r.took, within(i), r.err)
			}
		}
	})
}

// skewed is a clock that shows the wrong time and measures durations right.
type skewed struct {
	store.Clock
	by time.Duration
}

func (s skewed) Now() time.Time { return s.Clock.Now().Add(s.by) }

// TestScenarioSkewedClocks: ±5 min, mixed. No wait ends early or late, no signal is lost, nobody is suspended.
func TestScenarioSkewedClocks(t *testing.T) {
	skews := []time.Duration{-5 * time.Minute, 0, 5 * time.Minute}
	for _, sender := range skews {
		for _, receiver := range skews {
			t.Run(fmt.Sprint(sender, receiver), func(t *testing.T) {
				in(t, func(t *testing.T) {
					st, seen := memstore.New(), &record{}
					cfg := func(by time.Duration) coord.Config {
						return coord.Config{Clock: skewed{store.SystemClock, by}, Observer: seen}
					}
					a, b := joinOn(t, st, "coord-a", cfg(sender)), joinOn(t, st, "coord-b", cfg(receiver))
					r := <-waiting(t.Context(), b, coord.Within(10*time.Minute))
					if !errors.Is(r.err, coord.ErrTimeout) || r.took != 10*time.Minute {
						t.Errorf("after %v: %v", r.took, r.err)
					}
					signal := waiting(t.Context(), b)
					ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
					if err != nil || ack.Latency != 0 {
						t.Errorf("%+v, %v", ack, err)
					}
					if r := <-signal; r.err != nil {
						t.Error(r.err)
					}
					if n := len(of[coord.Suspended](seen)) + len(of[coord.SignalRefused](seen)); n != 0 || a.Suspended() != nil {
						t.Errorf("%d suspended or refused", n)
					}
				})
			})
		}
	}
}

// TestTooFarAhead: a sender that is twelve minutes ahead of its receiver is refused, and learns of it by the lack of an ACK.
func TestTooFarAhead(t *testing.T) {
	in(t, func(t *testing.T) {
		st, seen := memstore.New(), &record{}
		ahead := skewed{store.SystemClock, 6 * time.Minute}
		behind := skewed{store.SystemClock, -6 * time.Minute}
		a := joinOn(t, st, "coord-a", coord.Config{Clock: ahead})
		b := joinOn(t, st, "coord-b", coord.Config{Clock: behind, Observer: seen})
		t.Cleanup(must(b.Handle(echo)))
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(time.Minute)); !errors.Is(err, coord.ErrNoAck) {
			t.Error(err)
		}
		if n := seen.reasons(); n["future"] == 0 || len(n) != 1 {
			t.Errorf("refused: %v", n)
		}
	})
}

// TestScenarioTimeouts: 60 s, 5 min, 30 min; a signal at 29:30 of 30:00; two waits at once. All exact.
func TestScenarioTimeouts(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		short := waiting(t.Context(), b, coord.OfType("x"), coord.Within(time.Minute))
		middle := waiting(t.Context(), b, coord.OfType("y"), coord.Within(5*time.Minute))
		long := waiting(t.Context(), b, coord.OfType("z"), coord.Within(30*time.Minute))
		late := waiting(t.Context(), b, coord.OfType("late"), coord.Within(30*time.Minute))
		twin := waiting(t.Context(), b, coord.OfType("late"), coord.Within(30*time.Minute))
		time.Sleep(29*time.Minute + 30*time.Second)
		must(a.Post(t.Context(), "coord-b", "late", nil))
		for want, result := range map[time.Duration]<-chan waitResult{time.Minute: short, 5 * time.Minute: middle, 30 * time.Minute: long} {
			if r := <-result; !errors.Is(r.err, coord.ErrTimeout) || r.took != want {
				t.Errorf("%v: after %v: %v", want, r.took, r.err)
			}
		}
		one, other := <-late, <-twin
		if one.err != nil {
			one, other = other, one
		}
		if one.err != nil || one.took != 29*time.Minute+30*time.Second {
			t.Errorf("after %v: %v", one.took, one.err)
		}
		if !errors.Is(other.err, coord.ErrTimeout) || other.took != 30*time.Minute {
			t.Errorf("after %v: %v", other.took, other.err)
		}
	})
}

// TestScenarioTwoHundredCoordinators: each wakes the next, round and round.
func TestScenarioTwoHundredCoordinators(t *testing.T) {
	in(t, func(t *testing.T) {
		const many = 200
		c := openOn(t, memstore.New(), coord.Config{})
		members := make([]*coord.Coordinator, many)
		for i := range members {
			members[i] = must(c.Join(t.Context(), fmt.Sprint("coord-", i)))
		}
		var all sync.WaitGroup
		for i, a := range members {
			all.Go(func() {
				for round := range 3 {
					if i > 0 || round > 0 {
						must(a.Wait(t.Context()))
					}
					must(a.Post(t.Context(), fmt.Sprint("coord-", (i+1)%many), "next", nil))
				}
			})
		}
		all.Wait()
		must(members[0].Wait(t.Context()))
	})
}
