package coord_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

type review struct {
	Verdict string
	Count   int // of the handler's calls until then
}

// validators notes who was asked, by id and incarnation.
type validators struct {
	mu    sync.Mutex
	calls map[string]int
}

func (v *validators) called(who string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.calls == nil {
		v.calls = map[string]int{}
	}
	v.calls[who]++
	return v.calls[who]
}

func (v *validators) all() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.calls)
}

var fast = coord.Config{Policy: coord.FastPolicy()}

// validator joins id on st and answers with verdict; "no" is a rejection, "" nobody hears of.
func (v *validators) join(t tester, st store.Store, id, verdict string) *coord.Coordinator {
	b := joinOn(t, st, id, fast)
	v.serve(t, b, verdict)
	return b
}

func (v *validators) serve(t tester, b *coord.Coordinator, verdict string) {
	_, err := b.Handle(coord.Answer(func(ctx context.Context, q string, s *coord.Signal) (review, error) {
		n := v.called(fmt.Sprint(s.Round, " ", b.ID(), "/", b.Incarnation()))
		switch verdict {
		case "":
			<-ctx.Done()
			return review{}, coord.ErrLater
		case "no":
			return review{}, errors.New("not my field")
		}
		return review{verdict + " " + q, n}, nil
	}))
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func gather(t tester, a *coord.Coordinator, round string, opts ...coord.Option) (*coord.Round[review], error) {
	t.Helper()
	return coord.Gather[review](context.Background(), a, round, "task-1", opts...)
}

// checkStates compares who is in which state.
func checkStates(t tester, r *coord.Round[review], want map[string]coord.MemberState) {
	t.Helper()
	got := map[string]coord.MemberState{}
	for _, m := range r.Members() {
		got[m.ID] = m.State
		if _, ok := r.Answer(m.ID); ok != (m.State == coord.MemberAnswered) {
			t.Errorf("%s is %s, has an answer: %v", m.ID, m.State, ok)
		}
		if (m.State == coord.MemberAnswered) != (m.Reason == "") {
			t.Errorf("%s is %s because of %q", m.ID, m.State, m.Reason)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

const (
	answered = coord.MemberAnswered
	rejected = coord.MemberRejected
	dead     = coord.MemberDead
	silent   = coord.MemberSilent
)

func TestGatherAll(t *testing.T) {
	for kind := range kinds(nil) {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, v := kinds(memstore.New())[kind], &validators{}
				for _, id := range []string{"v1", "v2", "v3"} {
					v.join(t, st, id, "yes")
				}
				po := joinOn(t, st, "po", fast)
				r, err := gather(t, po, "r-1", coord.To("v3", "v1", "v2"))
				if err != nil {
					t.Fatal(err)
				}
				checkStates(t, r, map[string]coord.MemberState{"v1": answered, "v2": answered, "v3": answered})
				var order []string
				for id, answer := range r.Answers() {
					order = append(order, id)
					if answer != (review{"yes task-1", 1}) {
						t.Errorf("%s: %+v", id, answer)
					}
				}
				if !slices.Equal(order, []string{"v3", "v1", "v2"}) || len(r.Missing()) != 0 {
					t.Errorf("answers of %v, missing %v", order, r.Missing())
				}
			})
		})
	}
}

func TestGatherSomeReject(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		v.join(t, st, "v2", "no")
		po := joinOn(t, st, "po", fast)
		r, err := gather(t, po, "r-1", coord.To("v1", "v2"))
		if !errors.Is(err, coord.ErrIncomplete) || errors.Is(err, coord.ErrTimeout) {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered, "v2": rejected})
		if m := r.Missing(); len(m) != 1 || m[0].ID != "v2" || m[0].Reason != "not my field" || m[0].Incarnation != 1 {
			t.Errorf("%+v", m)
		}
	})
}

func TestGatherSilent(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		v.join(t, st, "v2", "")
		po, began := joinOn(t, st, "po", fast), time.Now()
		r, err := gather(t, po, "r-1", coord.To("v1", "v2", "v3"), coord.Within(time.Minute))
		if !errors.Is(err, coord.ErrIncomplete) || !errors.Is(err, coord.ErrTimeout) || time.Since(began) != time.Minute {
			t.Fatal(err, time.Since(began))
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered, "v2": silent, "v3": silent})
		if len(r.Missing()) != 2 {
			t.Errorf("%+v", r.Missing())
		}
	})
}

func TestGatherALateJoinerFindsItsQuestion(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		time.AfterFunc(time.Minute, func() { v.join(t, st, "v1", "yes") })
		r, err := gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1"))
		if err != nil {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered})
	})
}

// The asker dies and comes back: it gets the answers that were given, and nobody is asked twice.
func TestGatherAgainAfterARestart(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		v.join(t, st, "v2", "no")
		first := joinOn(t, st, "po", fast)
		to := coord.To("v1", "v2", "v3")
		if _, err := gather(t, first, "r-1", to, coord.Within(10*time.Second)); !errors.Is(err, coord.ErrTimeout) {
			t.Fatal(err)
		}
		v.join(t, st, "v3", "yes")
		second := joinOn(t, st, "po", fast)
		r, err := gather(t, second, "r-1", to)
		if !errors.Is(err, coord.ErrIncomplete) {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered, "v2": rejected, "v3": answered})
		time.Sleep(time.Minute)
		if want := map[string]int{"r-1 v1/1": 1, "r-1 v2/1": 1, "r-1 v3/1": 1}; !maps.Equal(v.all(), want) {
			t.Errorf("asked: %v", v.all())
		}
		if _, err := coord.Gather[review](t.Context(), second, "r-1", "task-2", to); !errors.Is(err, coord.ErrOtherQuestion) {
			t.Errorf("another question: %v", err)
		}
		if _, err := gather(t, second, "r-1", to, coord.Until(coord.AtLeast(2)), coord.Within(0)); err != nil {
			t.Errorf("what was answered is there at once: %v", err)
		}
		if _, err := gather(t, first, "r-1", to); !errors.Is(err, coord.ErrFenced) {
			t.Errorf("the first asker: %v", err)
		}
	})
}

func TestGatherUntil(t *testing.T) {
	unanimous := func(members []coord.Member) bool {
		return slices.ContainsFunc(members, func(m coord.Member) bool { return m.State == rejected })
	}
	for name, c := range map[string]struct {
		until coord.Condition
		took  time.Duration
		err   error
	}{
		"all":   {coord.All(), time.Minute, coord.ErrIncomplete},
		"two":   {coord.AtLeast(2), 20 * time.Second, nil},
		"three": {coord.AtLeast(3), time.Minute, coord.ErrIncomplete},
		"any":   {coord.Any(), 10 * time.Second, nil},
		"func":  {unanimous, 30 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, v := memstore.New(), &validators{}
				for i, verdict := range []string{"yes", "yes", "no"} {
					time.AfterFunc(time.Duration(i+1)*10*time.Second, func() { v.join(t, st, fmt.Sprint("v", i+1), verdict) })
				}
				po, began := joinOn(t, st, "po", fast), time.Now()
				_, err := gather(t, po, "r-1", coord.To("v1", "v2", "v3", "v4"), coord.Until(c.until), coord.Within(time.Minute))
				if took := time.Since(began); !errors.Is(err, c.err) || took < c.took || took > c.took+2*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				time.Sleep(time.Minute) // for those who join later
			})
		})
	}
}

// W4 for rounds: who cancels has consumed nothing.
func TestGatherCancelledThenAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		po, why := joinOn(t, st, "po", fast), errors.New("changed my mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		r, err := coord.Gather[review](ctx, po, "r-1", "task-1", coord.To("v1", "v2"))
		if !errors.Is(err, why) || !errors.Is(err, coord.ErrIncomplete) {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered, "v2": silent})
		if _, err := coord.Gather[review](ctx, po, "r-1", "task-1", coord.To("v1", "v2")); !errors.Is(err, why) {
			t.Fatal(err)
		}
		v.join(t, st, "v2", "yes")
		if _, err := gather(t, po, "r-1", coord.To("v1", "v2")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := map[string]int{"r-1 v1/1": 1, "r-1 v2/1": 1}; !maps.Equal(v.all(), want) {
			t.Errorf("asked: %v", v.all())
		}
	})
}

func TestGatherWithinAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := newUnsteady(), &validators{}
		v.join(t, st, "v1", "yes")
		po := joinOn(t, st, "po", coord.Config{})
		st.down.Store(true)
		time.AfterFunc(20*time.Second, func() { st.down.Store(false) })
		if _, err := gather(t, po, "r-1", coord.To("v1")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGatherRefuses(t *testing.T) {
	in(t, func(t *testing.T) {
		po := joinOn(t, memstore.New(), "po", fast)
		for name, c := range map[string]struct {
			round string
			opts  []coord.Option
			err   error
		}{
			"nobody":  {"r-1", nil, coord.ErrInvalidConfig},
			"twice":   {"r-1", []coord.Option{coord.To("v1", "v1")}, coord.ErrInvalidConfig},
			"a name":  {"r-1", []coord.Option{coord.To("v 1")}, coord.ErrInvalidID},
			"a round": {"r:1", []coord.Option{coord.To("v1")}, coord.ErrInvalidID},
		} {
			if r, err := gather(t, po, c.round, c.opts...); r != nil || !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Nothing overflows: the longest duration is as good as any other.
func TestGatherForAsLongAsItTakes(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		po := joinOn(t, st, "po", fast)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := coord.Gather[review](ctx, po, "r-1", "task-1", coord.To("v1"), coord.Within(math.MaxInt64)); err != nil {
			t.Error(err)
		}
	})
}

// That the round was used for another question is said even where there is no time to ask.
func TestGatherAnotherQuestionAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		po := joinOn(t, st, "po", fast)
		if _, err := gather(t, po, "r-1", coord.To("v1")); err != nil {
			t.Fatal(err)
		}
		_, err := coord.Gather[review](t.Context(), po, "r-1", "task-2", coord.To("v1"), coord.Within(0))
		if !errors.Is(err, coord.ErrOtherQuestion) || errors.Is(err, coord.ErrUnavailable) {
			t.Error(err)
		}
	})
}
