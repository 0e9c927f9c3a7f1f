package coord_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestX3APanicEndsNoProcess: a unit that makes every handler panic would end one heir after the other. It has failed, stays
// owned, and passes on when its owner leaves.
func TestX3APanicEndsNoProcess(t *testing.T) {
	for name, fails := range map[string]func(){"panic": func() { panic("oh") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, seen := memstore.New(), &record{}
				c := openOn(t, st, coord.Config{Observer: seen})
				a := must(c.Join(t.Context(), "coord-a"))
				if err := a.OnTakeOver(func(context.Context, *coord.Task) error { fails(); return nil }); err != nil {
					t.Fatal(err)
				}
				if err := c.AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-a"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				panics, failures := of[coord.HandlerPanicked](seen), of[coord.WorkFailed](seen)
				if len(panics) != 1 || panics[0].Unit != "u-1" || panics[0].By != "coord-a" || panics[0].Stack == "" || len(failures) != 1 {
					t.Errorf("told of %+v and %+v", panics, failures)
				}
				heir := make(chan string, 1)
				b := joinOn(t, st, "coord-b", coord.Config{})
				if err := b.OnTakeOver(func(_ context.Context, t *coord.Task) error { heir <- t.ID(); return nil }); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second) // its heartbeat says so
				if err := a.Leave(t.Context()); err != nil {
					t.Fatal(err)
				}
				if id := <-heir; id != "u-1" {
					t.Errorf("the heir got %q", id)
				}
			})
		})
	}
}
