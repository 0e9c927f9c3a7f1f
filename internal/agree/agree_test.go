package agree

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func propose(t *testing.T, s store.Store, value string) (string, bool) {
	t.Helper()
	d, mine, err := Attempt(t.Context(), s, names, plain{}, TTLs{}, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return string(d), mine
}

func set(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if err := s.SetEX(t.Context(), key, []byte(value), time.Hour); err != nil {
		t.Fatal(err)
	}
}

func TestTheFirstDecides(t *testing.T) {
	s := memstore.New()
	if d, mine := propose(t, s, "x"); d != "x" || !mine {
		t.Errorf("the first: %s %v", d, mine)
	}
	if d, mine := propose(t, s, "y"); d != "x" || mine {
		t.Errorf("the second: %s %v", d, mine)
	}
	if d, mine := propose(t, s, "x"); d != "x" || !mine {
		t.Errorf("the same value again: %s %v", d, mine)
	}
}

func TestAnEmptyValueIsAValue(t *testing.T) {
	s := memstore.New()
	if d, mine := propose(t, s, ""); d != "" || !mine {
		t.Errorf("got %q %v", d, mine)
	}
	if d, mine := propose(t, s, "y"); d != "" || mine {
		t.Errorf("got %q %v", d, mine)
	}
}

// The highest of many votes is adopted, over several trips too, and burnt tickets are stepped over.
func TestManyVotes(t *testing.T) {
	for _, tickets := range []int{1, 31, 32, 33, 64, 100} {
		for _, vote := range []int{1, 2, 32, 33, 100} {
			s, want := memstore.New(), "mine"
			for range tickets {
				_, _ = s.Incr(t.Context(), counterKey)
			}
			if vote <= tickets {
				want = "vote"
				set(t, s, names.Vote(int64(vote)), names.Vote(int64(vote))+"=vote")
			}
			if d, _ := propose(t, s, "mine"); d != want {
				t.Errorf("%d tickets, vote %d: %s", tickets, vote, d)
			}
		}
	}
}

// What does not verify is neither adopted nor overlooked, and nothing is voted or decided on top of it.
func TestForged(t *testing.T) {
	tests := []struct{ name, key, value string }{
		{"decision", decisionKey, "x"},
		{"a vote in the decision's place", decisionKey, "v1=x"},
		{"the only vote", "v1", "x"},
		{"another vote in a vote's place", "v1", "v2=x"},
		{"counter below zero", counterKey, "-7"},
		{"counter beyond reason", counterKey, "9000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := memstore.New()
			_, _ = s.Incr(t.Context(), counterKey)
			set(t, s, tt.key, tt.value)
			for range 3 {
				if _, _, err := Attempt(t.Context(), s, names, plain{}, TTLs{}, []byte("y")); !errors.Is(err, ErrForged) || errors.Is(err, ErrAgain) {
					t.Fatalf("got %v", err)
				}
			}
			if keys, _ := s.Keys(t.Context(), ""); len(keys) > 2 {
				t.Errorf("it wrote on: %v", keys)
			}
		})
	}
}

// A higher vote that verifies binds, whatever was done to those below it.
func TestAForgedVoteBelowAGoodOne(t *testing.T) {
	s := memstore.New()
	for range 2 {
		_, _ = s.Incr(t.Context(), counterKey)
	}
	set(t, s, "v1", "x")
	set(t, s, "v2", "v2=good")
	if d, _ := propose(t, s, "mine"); d != "good" {
		t.Errorf("decided %s", d)
	}
}

// failing fails every operation on one key.
type failing struct {
	store.Store
	key string
	err error
}

func (f failing) fails(key string) error {
	if key == f.key {
		return f.err
	}
	return nil
}

func (f failing) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.fails(key); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, key)
}

func (f failing) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := f.fails(key); err != nil {
		return err
	}
	return f.Store.SetEX(ctx, key, value, ttl)
}

func (f failing) Incr(ctx context.Context, key string) (int64, error) {
	if err := f.fails(key); err != nil {
		return 0, err
	}
	return f.Store.Incr(ctx, key)
}

func TestErrorsOfTheStore(t *testing.T) {
	for _, key := range []string{decisionKey, counterKey, "v1"} {
		s := failing{memstore.New(), key, store.ErrUnavailable}
		_, _, err := Attempt(t.Context(), s, names, plain{}, TTLs{}, []byte("x"))
		if !errors.Is(err, ErrAgain) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", key, err)
		}
		s.err = store.ErrDenied
		if _, _, err = Attempt(t.Context(), s, names, plain{}, TTLs{}, []byte("x")); !errors.Is(err, store.ErrDenied) || errors.Is(err, ErrAgain) {
			t.Errorf("%s: %v", key, err)
		}
	}
	set1 := memstore.New()
	set(t, set1, counterKey, "abc")
	if _, _, err := Attempt(t.Context(), set1, names, plain{}, TTLs{}, nil); !errors.Is(err, store.ErrNotInteger) {
		t.Errorf("a counter that is none: %v", err)
	}
}

func TestAContextThatIsOver(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	s := failing{memstore.New(), decisionKey, context.Canceled}
	if _, _, err := Attempt(ctx, s, names, plain{}, TTLs{}, nil); !errors.Is(err, enough) || errors.Is(err, ErrAgain) {
		t.Errorf("got %v", err)
	}
}

func TestTTLs(t *testing.T) {
	tests := []struct {
		ttl TTLs
		ok  bool
	}{
		{TTLs{}, true},
		{TTLs{MinTTL + 2, MinTTL + 1, MinTTL}, true},
		{TTLs{MinTTL + 1, MinTTL + 1, MinTTL}, false},
		{TTLs{MinTTL + 2, MinTTL, MinTTL}, false},
		{TTLs{MinTTL + 2, MinTTL + 1, MinTTL - 1}, false},
		{TTLs{Decision: 2 * MinTTL}, false},
	}
	for _, tt := range tests {
		_, _, err := Attempt(t.Context(), memstore.New(), names, plain{}, tt.ttl, nil)
		if (err == nil) != tt.ok || !tt.ok && !errors.Is(err, ErrInvalidTTL) {
			t.Errorf("%v: %v", tt.ttl, err)
		}
	}
}

// Every key is given a time to live, the decision the longest, the counter the shortest.
func TestEverythingExpires(t *testing.T) {
	clock := memstore.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := memstore.New(memstore.WithClock(clock))
	propose(t, s, "x")
	const day = 24 * time.Hour
	for _, left := range []struct {
		after time.Duration
		keys  int
	}{{7*day - 1, 3}, {2, 2}, {day, 1}, {22 * day, 0}} {
		clock.Advance(left.after)
		if keys, _ := s.Keys(t.Context(), ""); len(keys) != left.keys {
			t.Errorf("%v on: %v", left.after, keys)
		}
	}
}

func TestClean(t *testing.T) {
	s := memstore.New()
	if err := Clean(t.Context(), s, names, plain{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nothing decided: %v", err)
	}
	for range 70 {
		n, _ := s.Incr(t.Context(), counterKey)
		set(t, s, names.Vote(n), names.Vote(n)+"=x")
	}
	if err := Clean(t.Context(), s, names, plain{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("not decided: %v", err)
	}
	if keys, _ := s.Keys(t.Context(), ""); len(keys) != 71 {
		t.Errorf("deleted before the decision: %d left", len(keys))
	}
	propose(t, s, "y")
	for range 2 {
		if err := Clean(t.Context(), s, names, plain{}); err != nil {
			t.Fatal(err)
		}
	}
	if keys, _ := s.Keys(t.Context(), ""); fmt.Sprint(keys) != "[d]" {
		t.Errorf("left over: %v", keys)
	}
	if d, mine := propose(t, s, "y"); d != "x" || mine {
		t.Errorf("after the cleaning: %s %v", d, mine)
	}
}

func TestCleanOfForgedKeys(t *testing.T) {
	for _, bad := range []string{"abc", "-1", "99999999"} {
		s := memstore.New()
		set(t, s, decisionKey, "d=x")
		set(t, s, counterKey, bad)
		if err := Clean(t.Context(), s, names, plain{}); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestDecided(t *testing.T) {
	s := memstore.New()
	if _, err := Decided(t.Context(), s, names, plain{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	propose(t, s, "x")
	if d, err := Decided(t.Context(), s, names, plain{}); err != nil || string(d) != "x" {
		t.Errorf("got %s, %v", d, err)
	}
	set(t, s, decisionKey, "v1=x")
	if _, err := Decided(t.Context(), s, names, plain{}); !errors.Is(err, ErrForged) {
		t.Errorf("got %v", err)
	}
}
