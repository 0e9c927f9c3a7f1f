package coord_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestLeaveTakesNoWorkOn: a unit that is assigned to one who waits for his handlers to end goes on to an heir. If it were
// begun, its context would end with Leave, which would wait for it.
func TestLeaveTakesNoWorkOn(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		c := openOn(t, st, coord.Config{})
		b, release := joinOn(t, st, "coord-b", coord.Config{}), make(chan struct{})
		var mu sync.Mutex
		begun := map[string][]string{}
		takeOver := func(id string, linger <-chan struct{}) coord.TaskHandler {
			return func(ctx context.Context, task *coord.Task) error {
				mu.Lock()
				begun[id] = append(begun[id], task.ID())
				mu.Unlock()
				<-ctx.Done()
				<-linger // it takes its time to end
				return ctx.Err()
			}
		}
		if err := b.OnTakeOver(takeOver("coord-b", release)); err != nil {
			t.Fatal(err)
		}
		if err := c.AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-b"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		left := make(chan error, 1)
		go func() { left <- b.Leave(context.Background()) }()
		synctest.Wait()
		if err := c.AssignWork(t.Context(), coord.Work{ID: "u-2"}, "coord-b"); err != nil { // by its last heartbeat
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // many polls and beats
		if err := c.AssignWork(t.Context(), coord.Work{ID: "u-3"}, "coord-b"); !errors.Is(err, coord.ErrNoHeir) {
			t.Errorf("it says that it takes work over: %v", err)
		}
		ended := make(chan struct{})
		close(ended)
		if err := joinOn(t, st, "heir", coord.Config{}).OnTakeOver(takeOver("heir", ended)); err != nil {
			t.Fatal(err)
		}
		close(release)
		time.Sleep(time.Minute)
		if len(left) == 0 {
			t.Fatal("Leave waits for what began while it waited")
		}
		if err := <-left; err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(begun["heir"])
		if !slices.Equal(begun["coord-b"], []string{"u-1"}) || !slices.Equal(begun["heir"], []string{"u-1", "u-2"}) {
			t.Errorf("begun: %v", begun)
		}
	})
}

// TestLeaveEndsWhatIsAcceptedMeanwhile: the tasks of one who leaves have ended, also those that come now.
func TestLeaveEndsWhatIsAcceptedMeanwhile(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		b, release := joinOn(t, st, "coord-b", coord.Config{}), make(chan struct{})
		if err := b.OnTakeOver(func(context.Context, *coord.Task) error { <-release; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := openOn(t, st, coord.Config{}).AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-b"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		left := make(chan error, 1)
		go func() { left <- b.Leave(context.Background()) }()
		synctest.Wait()
		task := must(b.Accept(t.Context(), coord.Work{ID: "u-2"}))
		if cause := context.Cause(task.Context()); !errors.Is(cause, coord.ErrClosed) {
			t.Errorf("it may act: %v", cause)
		}
		close(release)
		if err := <-left; err != nil {
			t.Error(err)
		}
	})
}

// TestLeaveBeginsNothingThatWasFound: the same for a unit that was found before, and is made ready while Leave waits.
func TestLeaveBeginsNothingThatWasFound(t *testing.T) {
	in(t, func(t *testing.T) {
		up, release := make(chan struct{}), make(chan struct{})
		st := &hooked{newUnsteady(), func(_ context.Context, key string) error {
			if strings.HasPrefix(key, "get blocking:work:{u-2}:unit:") { // the first thing of a new owner
				<-up
			}
			return nil
		}}
		b, begun := joinOn(t, st, "coord-b", coord.Config{}), make(chan string, 2)
		err := b.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
			begun <- task.ID()
			<-ctx.Done()
			<-release
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c := openOn(t, st.unsteady, coord.Config{})
		for _, id := range []string{"u-1", "u-2"} {
			if err := c.AssignWork(t.Context(), coord.Work{ID: id}, "coord-b"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * coord.DefaultPoll)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		left := make(chan error, 1)
		go func() { left <- b.Leave(ctx) }()
		synctest.Wait()
		close(up)
		synctest.Wait()
		close(release)
		if err := <-left; err != nil {
			t.Error(err)
		}
		if first := <-begun; first != "u-1" || len(begun) > 0 {
			t.Errorf("it began %s, and %d more", first, len(begun))
		}
	})
}
