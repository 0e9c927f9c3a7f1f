package coord_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// slow is a handler that goes on, after its context has ended, until it is released.
type slow struct {
	calls, now, most atomic.Int64
	release          chan struct{}
	done             chan error // what Done returned where the context was still good
}

func newSlow() *slow { return &slow{release: make(chan struct{}), done: make(chan error, 10)} }

func (s *slow) handle(ctx context.Context, task *coord.Task) error {
	s.calls.Add(1)
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	<-s.release
	if ctx.Err() == nil {
		s.done <- task.Done(ctx, nil)
	}
	return nil
}

// assigned joins one who has s handle u-1, on a store that can be down.
func assigned(t *testing.T, s *slow) (*unsteady, *coord.Coordinator) {
	t.Helper()
	u := newUnsteady()
	a := joinOn(t, u, "coord-a", coord.Config{})
	if err := a.OnTakeOver(s.handle); err != nil {
		t.Fatal(err)
	}
	if err := openOn(t, u, coord.Config{}).AssignWork(t.Context(), coord.Work{ID: "u-1"}, "coord-a"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	return u, a
}

// suspendAndResume: nobody has declared it dead meanwhile.
func suspendAndResume(u *unsteady) {
	u.down.Store(true)
	time.Sleep(coord.DefaultPolicy().TTL)
	u.down.Store(false)
	time.Sleep(4 * coord.DefaultPolicy().Beat)
}

// TestOneTaskHandlerAtATime: X1, after a suspension the handler is called again, but not before its last call for the unit has
// returned: both have the same fencing token, so that nobody could refuse the older one.
func TestOneTaskHandlerAtATime(t *testing.T) {
	in(t, func(t *testing.T) {
		s := newSlow()
		u, _ := assigned(t, s)
		for range 3 {
			suspendAndResume(u)
		}
		if s.most.Load() != 1 {
			t.Errorf("%d at once", s.most.Load())
		}
		close(s.release)
		synctest.Wait()
		if s.calls.Load() != 2 || len(s.done) != 1 {
			t.Fatalf("%d calls, %d with a good context", s.calls.Load(), len(s.done))
		}
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
}

// TestLeaveEndsWhoWaitsForAHandler: Leave waits for the call that runs, and the one that would follow is not made.
func TestLeaveEndsWhoWaitsForAHandler(t *testing.T) {
	in(t, func(t *testing.T) {
		s := newSlow()
		u, a := assigned(t, s)
		suspendAndResume(u)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it did not wait for the handler: %v", err)
		}
		close(s.release)
		synctest.Wait()
		if s.calls.Load() != 1 || s.now.Load() != 0 {
			t.Errorf("%d calls, %d run on", s.calls.Load(), s.now.Load())
		}
	})
}
