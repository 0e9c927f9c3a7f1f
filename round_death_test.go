package coord_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// watching runs a monitor until the end of the test, or until it is stopped.
func watching(t *testing.T, st store.Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	m, over := openOn(t, st, fast).Monitor(), make(chan struct{})
	go func() { defer close(over); _ = m.Run(ctx) }()
	stop = func() { cancel(); <-over }
	t.Cleanup(stop)
	return stop
}

// One dies during the round: it is settled within the bounds of the policy, long before the timeout.
func TestGatherADeathSettlesAtOnce(t *testing.T) {
	policies := map[string]struct {
		policy coord.DeathPolicy
		want   map[string]coord.MemberState
		enough bool
	}{
		"skip": {coord.Skip(), map[string]coord.MemberState{"v1": answered, "v2": dead}, false},
		"fail": {coord.Fail(), map[string]coord.MemberState{"v1": answered, "v2": dead}, false},
		"substitute": {
			coord.Substitute(func(id string) string { return id + "-b" }),
			map[string]coord.MemberState{"v1": answered, "v2": dead, "v2-b": answered}, true,
		},
		"nobody": {
			coord.Substitute(func(string) string { return "v1" }),
			map[string]coord.MemberState{"v1": answered, "v2": dead}, false,
		},
	}
	for name, c := range policies {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				doomed, v := newUnsteady(), &validators{}
				st := doomed.inner.Load()
				v.join(t, st, "v1", "yes")
				v.join(t, doomed, "v2", "")
				v.join(t, st, "v2-b", "yes")
				watching(t, st)
				time.AfterFunc(2*time.Second, func() { doomed.down.Store(true) })
				po, began := joinOn(t, st, "po", fast), time.Now()
				r, err := gather(t, po, "r-1", coord.To("v1", "v2"), coord.OnDeath(c.policy), coord.Within(time.Hour))
				if errors.Is(err, coord.ErrIncomplete) == c.enough {
					t.Fatal(err)
				}
				checkStates(t, r, c.want)
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Leaving on purpose is no death: the question waits for who comes back.
func TestGatherWhoLeftMayComeBack(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		watching(t, st)
		if err := joinOn(t, st, "v1", fast).Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Second, func() { v.join(t, st, "v1", "yes") })
		if _, err := gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1")); err != nil {
			t.Fatal(err)
		}
	})
}

// A number that was taken by one that crashed before it registered hides no death: nobody beats under it, so nobody will
// ever decide about it.
func TestGatherABurntNumberHidesNoDeath(t *testing.T) {
	for kind := range kinds(nil) {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
				doomed, v := newUnsteady(), &validators{}
				mem := doomed.inner.Load()
				st := kinds(mem)[kind]
				v.join(t, doomed, "v1", "")
				v.join(t, st, "v2", "yes")
				watching(t, st)
				time.AfterFunc(2*time.Second, func() { doomed.down.Store(true) })
				for range 3 {
					must(mem.Incr(t.Context(), keys.In(coord.DefaultNamespace).Incarnation("v1")))
				}
				po, began := joinOn(t, st, "po", fast), time.Now()
				r, err := gather(t, po, "r-1", coord.To("v1", "v2"), coord.Within(time.Hour))
				if took := time.Since(began); !errors.Is(err, coord.ErrIncomplete) || took > 15*time.Second {
					t.Fatalf("after %v: %v", took, err)
				}
				checkStates(t, r, map[string]coord.MemberState{"v1": dead, "v2": answered})
				if m := r.Missing(); m[0].Incarnation != 1 {
					t.Errorf("it died as %d", m[0].Incarnation)
				}
			})
		})
	}
}

// One that lives, whose heartbeat has expired while it is cut off, is not dead because an earlier life of it is: that is
// for the monitors to decide.
func TestGatherAnEarlierDeathIsNotMine(t *testing.T) {
	in(t, func(t *testing.T) {
		doomed, late, v := newUnsteady(), newUnsteady(), &validators{}
		st := doomed.inner.Load()
		late.inner.Store(st)
		stop := watching(t, st)
		v.join(t, doomed, "v1", "")
		doomed.down.Store(true)
		time.Sleep(15 * time.Second) // it is declared dead
		stop()
		v.join(t, late, "v1", "yes")
		late.down.Store(true)
		time.Sleep(time.Minute) // its heartbeat is gone, and nobody decides
		po := joinOn(t, st, "po", fast)
		r, err := gather(t, po, "r-1", coord.To("v1"), coord.Within(10*time.Second))
		if !errors.Is(err, coord.ErrTimeout) {
			t.Fatal(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": silent})
		late.down.Store(false)
	})
}

// Who left on purpose may come back, even if an earlier life of it died: whether or not the next one has taken its number
// and is about to register, and however long ago it left.
func TestGatherWhoLeftIsNotDead(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		burnt bool // a number between the death and the life that left
		ago   time.Duration
		next  bool // a Join has begun
	}{
		"another joins":          {next: true},
		"eight days":             {ago: 8 * day},
		"a burnt number between": {burnt: true, next: true},
		"three weeks":            {burnt: true, ago: 21 * day},
		"seventy days":           {ago: 70 * day},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				doomed := newUnsteady()
				st := doomed.inner.Load()
				number := func() { must(st.Incr(context.Background(), keys.In(coord.DefaultNamespace).Incarnation("v1"))) }
				first, stop := openOn(t, doomed, fast), watching(t, st)
				must(first.Join(t.Context(), "v1"))
				doomed.down.Store(true)
				time.Sleep(20 * time.Second) // it is declared dead
				stop()
				_ = first.Close()
				if c.burnt {
					number()
				}
				if err := joinOn(t, st, "v1", fast).Leave(t.Context()); err != nil {
					t.Fatal(err)
				}
				if c.next {
					number()
				}
				time.Sleep(c.ago)
				r, err := gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1"), coord.Within(20*time.Second))
				if !errors.Is(err, coord.ErrTimeout) {
					t.Error(err)
				}
				checkStates(t, r, map[string]coord.MemberState{"v1": silent})
			})
		})
	}
}
