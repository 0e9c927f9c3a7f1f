package coord_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// What a substitute has answered is found again when the dead one has come back: by it the round was complete, and may
// have been decided. So it is where the substitute died as well, and another one answered.
func TestGatherFindsTheSubstituteAgain(t *testing.T) {
	for name, line := range map[string][]string{"one": {"v1", "v2"}, "two": {"v1", "v2", "v3"}} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				doomed, v := newUnsteady(), &validators{}
				st := doomed.inner.Load()
				watching(t, st)
				next := map[string]string{}
				want := map[string]coord.MemberState{}
				for i, id := range line[:len(line)-1] {
					v.join(t, doomed, id, "")
					next[id], want[id] = line[i+1], dead
				}
				last := line[len(line)-1]
				v.join(t, st, last, "yes")
				want[last] = answered
				time.AfterFunc(2*time.Second, func() { doomed.down.Store(true) })
				policy := coord.OnDeath(coord.Substitute(func(id string) string { return next[id] }))
				for range 2 {
					r, err := gather(t, joinOn(t, st, "po", fast), "r-1", coord.To("v1"), policy, coord.Within(5*time.Minute))
					if err != nil {
						t.Error(err)
					}
					checkStates(t, r, want)
					for _, id := range line[:len(line)-1] { // they come back, and answer nothing
						joinOn(t, st, id, fast)
					}
				}
			})
		})
	}
}

// One that has died before is asked, if nobody has answered in its place.
func TestGatherAsksWhoCameBack(t *testing.T) {
	in(t, func(t *testing.T) {
		doomed, v := newUnsteady(), &validators{}
		st := doomed.inner.Load()
		watching(t, st)
		v.join(t, doomed, "v1", "")
		time.AfterFunc(2*time.Second, func() { doomed.down.Store(true) })
		policy := coord.OnDeath(coord.Substitute(func(id string) string { return map[string]string{"v1": "v2"}[id] }))
		po := joinOn(t, st, "po", fast)
		r, _ := gather(t, po, "r-1", coord.To("v1"), policy, coord.Within(time.Minute))
		checkStates(t, r, map[string]coord.MemberState{"v1": dead, "v2": silent})
		v.join(t, st, "v1", "yes")
		r, err := gather(t, po, "r-1", coord.To("v1"), policy, coord.Within(time.Minute))
		if err != nil {
			t.Error(err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": answered})
	})
}
