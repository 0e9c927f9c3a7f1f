package memstore_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func newFake() (*memstore.Store, *memstore.FakeClock) {
	clock := memstore.NewFakeClock(time.Time{})
	return memstore.New(memstore.WithClock(clock)), clock
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func alive(t testing.TB, s *memstore.Store, key string) bool {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	if err != nil && err != store.ErrNotFound {
		t.Fatal(err)
	}
	return err == nil
}

// What the contract leaves open, this driver decides: at the deadline a key is alive.
func TestAliveAtTheDeadline(t *testing.T) {
	for _, ttl := range []time.Duration{1, time.Millisecond, 90 * time.Second} {
		s, clock := newFake()
		must(t, s.SetEX(t.Context(), "k", nil, ttl))
		if clock.Advance(ttl); !alive(t, s, "k") {
			t.Errorf("a key of %v is dead at its deadline", ttl)
		}
		if clock.Advance(1); alive(t, s, "k") {
			t.Errorf("a key of %v is alive after its deadline", ttl)
		}
	}
}

func TestTTLThatOverflows(t *testing.T) {
	for _, test := range []struct {
		age, ttl time.Duration
		want     error
	}{
		{0, math.MaxInt64, store.ErrInvalidTTL}, // would be no deadline at all
		{time.Hour, math.MaxInt64, store.ErrInvalidTTL},
		{time.Hour, math.MaxInt64 - time.Hour + 1, store.ErrInvalidTTL},
		{time.Hour, math.MaxInt64 - time.Hour - 1, nil},
	} {
		s, clock := newFake()
		clock.Advance(test.age)
		must(t, s.SetEX(t.Context(), "there", nil, time.Hour))
		if err := s.SetEX(t.Context(), "k", nil, test.ttl); err != test.want {
			t.Errorf("SetEX for %v at %v: %v, want %v", test.ttl, test.age, err, test.want)
		}
		if _, err := s.Expire(t.Context(), "there", test.ttl); err != test.want {
			t.Errorf("Expire for %v at %v: %v, want %v", test.ttl, test.age, err, test.want)
		}
	}
}

// The default clock is the bubble's: a test of a day takes no time, without a fake clock.
func TestSystemClockInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		must(t, s.SetEX(t.Context(), "k", nil, 24*time.Hour))
		time.Sleep(24*time.Hour - time.Nanosecond)
		if !alive(t, s, "k") {
			t.Error("dead before its deadline")
		}
		if time.Sleep(2 * time.Nanosecond); alive(t, s, "k") {
			t.Error("alive after its deadline")
		}
	})
}

func TestKeysAreSorted(t *testing.T) {
	s, _ := newFake()
	for _, k := range []string{"c", "a", "b", "ab"} {
		must(t, s.SetEX(t.Context(), k, nil, time.Hour))
	}
	got, err := s.Keys(t.Context(), "")
	must(t, err)
	if want := []string{"a", "ab", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Keys = %q, want %q", got, want)
	}
}

// Every method of every capability gives the context's cause, which says who ended it and why.
func TestEndedContextGivesItsCause(t *testing.T) {
	s, _ := newFake()
	cause := fmt.Errorf("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, get := s.Get(ctx, "k")
	_, incr := s.Incr(ctx, "k")
	_, expire := s.Expire(ctx, "k", 0)
	_, keys := s.Keys(ctx, "")
	_, appended := s.Append(ctx, store.Append{Tail: "k", TailTTL: 1, TTL: 1})
	_, count := s.Count(ctx, "i")
	_, late := s.Late(ctx, "i", 1, 1)
	for i, err := range []error{
		s.SetEX(ctx, "k", nil, 1), get, incr, expire, keys, appended, s.Publish(ctx, "c", nil),
		s.Touch(ctx, "i", 1), count, late, s.Drop(ctx, "i"), s.Batch(ctx, []store.Op{store.GetOp("k")})[0].Err,
	} {
		if err != cause {
			t.Errorf("method %d: %v, want the cause", i, err)
		}
	}
}

func TestAppendRefusesATailWithoutTTL(t *testing.T) {
	s, _ := newFake()
	for _, a := range []store.Append{{Tail: "t", Entry: "e", TTL: 1}, {Tail: "t", Entry: "e", TailTTL: 1}} {
		if _, err := s.Append(t.Context(), a); err != store.ErrInvalidTTL {
			t.Errorf("Append of %+v: %v, want store.ErrInvalidTTL", a, err)
		}
	}
	if keys, _ := s.Keys(t.Context(), ""); len(keys) > 0 {
		t.Errorf("a refused append left %q", keys)
	}
}

// Subscribers are called in their order, in the publisher's goroutine, and may cancel one another.
func TestPublishIsSynchronousAndInOrder(t *testing.T) {
	s, _ := newFake()
	var got []string
	cancels := make([]func(), 3)
	for i := range cancels {
		cancels[i] = s.Subscribe("c", func(payload []byte) {
			got = append(got, fmt.Sprintf("%d:%s", i, payload))
			if string(payload) == "cancel" {
				cancels[2]()
				cancels[2]()
			}
		})
	}
	must(t, s.Publish(t.Context(), "c", []byte("p")))
	must(t, s.Publish(t.Context(), "c", []byte("cancel")))
	must(t, s.Publish(t.Context(), "", []byte("no channel")))
	want := []string{"0:", "1:", "2:", "0:p", "1:p", "2:p", "0:cancel", "1:cancel"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPublishSubscribeCancelAtOnce(t *testing.T) {
	s, _ := newFake()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				cancel := s.Subscribe("c", func(payload []byte) { copy(payload, "mine") })
				_ = s.Publish(t.Context(), "c", []byte("payload"))
				cancel()
			}
		})
	}
	group.Wait()
}

// Late against a model that keeps the last touch of every member: a scan and a sort.
func TestLateAgreesWithAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := newFake()
		last := map[string]int64{}
		var count int64
		member := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		t.Repeat(map[string]func(*rapid.T){
			"touch": func(t *rapid.T) {
				name := member.Draw(t, "member")
				count++
				last[name] = count
				_ = s.Touch(context.Background(), "i", time.Hour, name)
			},
			"drop": func(t *rapid.T) {
				name := member.Draw(t, "member")
				delete(last, name)
				_ = s.Drop(context.Background(), "i", name)
			},
			"": func(t *rapid.T) {
				most, limit := rapid.Int64Range(0, count).Draw(t, "count"), rapid.IntRange(0, 6).Draw(t, "limit")
				got, _ := s.Late(context.Background(), "i", most, limit)
				if want := scanLate(last, most, limit); !slices.Equal(got, want) {
					t.Fatalf("Late(%d, %d) = %q, want %q", most, limit, got, want)
				}
			},
		})
	})
}

func scanLate(last map[string]int64, count int64, limit int) (names []string) {
	for name, n := range last {
		if n <= count {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(last[a] - last[b]) })
	return names[:min(limit, len(names))]
}
