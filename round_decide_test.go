package coord_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestRoundDecideOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		po := joinOn(t, st, "po", fast)
		r := must(gather(t, po, "r-1", coord.To("v1")))
		d, err := r.Decide(t.Context(), "PROCEED", "one is enough")
		want := coord.Decision{Outcome: "PROCEED", Reason: "one is enough", By: "po", Incarnation: 1, Mine: true}
		if err != nil || d != want {
			t.Fatal(d, err)
		}
		later := must(gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1")))
		want.Mine = false
		if d, err := later.Decide(t.Context(), "DEFER", "I know better"); err != nil || d != want {
			t.Errorf("the second asker: %+v, %v", d, err)
		}
		time.Sleep(time.Second) // the first learns of the second with its next beat
		if _, err := r.Decide(t.Context(), "PROCEED", ""); !errors.Is(err, coord.ErrFenced) {
			t.Errorf("the first asker: %v", err)
		}
	})
}

// Two who decide at once agree, and one of them has decided.
func TestRoundDecideAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		po := joinOn(t, st, "po", fast)
		r := must(gather(t, po, "r-1", coord.To("v1")))
		decisions := make([]coord.Decision, 8)
		var all sync.WaitGroup
		for i := range decisions {
			all.Go(func() { decisions[i] = must(r.Decide(t.Context(), "PROCEED", "")) })
		}
		all.Wait()
		mine := 0
		for _, d := range decisions {
			if d.Mine {
				mine++
			}
			if d.Outcome != "PROCEED" {
				t.Errorf("%+v", d)
			}
		}
		if mine != 1 {
			t.Errorf("%d have decided", mine)
		}
	})
}

func TestRoundDecideSuspended(t *testing.T) {
	in(t, func(t *testing.T) {
		failing, v := newUnsteady(), &validators{}
		v.join(t, failing.inner.Load(), "v1", "yes")
		r := must(gather(t, joinOn(t, failing, "po", fast), "r-1", coord.To("v1")))
		failing.down.Store(true)
		time.Sleep(10 * time.Second)
		if _, err := r.Decide(t.Context(), "PROCEED", ""); !errors.Is(err, coord.ErrSuspended) {
			t.Error(err)
		}
		failing.down.Store(false)
	})
}
