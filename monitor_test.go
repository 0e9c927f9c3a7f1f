package coord_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// Three monitors, 20 units of one that dies: one escalation, 20 hand-overs, 20 commits; the dead one, back again, is
// fenced.
func TestScenarioThreeMonitorsTwentyUnits(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cable, w := newUnsteady(), &record{}
		st := cable.inner.Load()
		doomed := openOn(t, cable, coord.Config{})
		a := join(t, doomed, "coord-a")
		var tasks []*coord.Task
		for i := range 20 {
			task, err := a.Accept(ctx, coord.Work{ID: fmt.Sprintf("u-%d", i), Payload: []byte("dig")})
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		c := openOn(t, st, coord.Config{Observer: w})
		for _, id := range []string{"heir-1", "heir-2"} {
			if err := join(t, c, id).OnTakeOver(finish); err != nil {
				t.Fatal(err)
			}
		}
		var dead atomic.Int64
		for range 3 {
			m := c.Monitor(coord.OnDead(func(context.Context, coord.Death) error { dead.Add(1); return nil }))
			go func() { _ = m.Run(ctx) }()
		}
		time.Sleep(time.Minute)
		cable.down.Store(true)
		time.Sleep(90 * time.Second)
		if err := tasks[0].Checkpoint(ctx, nil); !errors.Is(err, coord.ErrSuspended) {
			t.Errorf("90 s after its last beat: %v", err)
		}
		time.Sleep(280*time.Second - 90*time.Second)
		if n := len(of[coord.Dead](w)); n != 1 || dead.Load() < 1 {
			t.Errorf("%d escalations, OnDead %d times", n, dead.Load())
		}
		if n := len(of[coord.WorkHandedOver](w)); n != 20 {
			t.Errorf("%d hand-overs", n)
		}
		time.Sleep(10 * time.Second)
		if n := len(of[coord.WorkDone](w)); n != 20 {
			t.Errorf("%d commits", n)
		}
		cable.down.Store(false)
		time.Sleep(10 * time.Second)
		if err := tasks[0].Done(ctx, nil); !errors.Is(err, coord.ErrFenced) {
			t.Errorf("the resurrected: %v", err)
		}
		cancel()
		synctest.Wait()
	})
}

func finish(ctx context.Context, t *coord.Task) error { return t.Done(ctx, []byte("done")) }

func TestProgressDeadlineMovesAUnitThoughItsOwnerBeats(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st, w := memstore.New(), &record{}
		c := openOn(t, st, coord.Config{Observer: w})
		a, heir := join(t, c, "coord-a"), join(t, c, "heir")
		if err := heir.OnTakeOver(finish); err != nil {
			t.Fatal(err)
		}
		task, err := a.Accept(ctx, coord.Work{ID: "u-1", Progress: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		m := c.Monitor()
		go func() { _ = m.Run(ctx) }()
		for range 10 {
			time.Sleep(time.Minute)
			if err := task.Touch(ctx); err != nil {
				t.Fatalf("touched every minute, and lost: %v", err)
			}
		}
		time.Sleep(2*time.Minute - time.Second)
		if n := len(of[coord.WorkHandedOver](w)); n != 0 {
			t.Errorf("handed over too early")
		}
		time.Sleep(30 * time.Second)
		if n := len(of[coord.WorkDone](w)); n != 1 || len(of[coord.Dead](w)) != 0 {
			t.Errorf("%d commits, %d deaths", n, len(of[coord.Dead](w)))
		}
		if cause := context.Cause(task.Context()); !errors.Is(cause, coord.ErrFenced) {
			t.Errorf("the slow owner's context: %v", cause)
		}
		cancel()
		synctest.Wait()
	})
}

func TestSpawnFindsAnHeirWhereNobodyLives(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cable, w := newUnsteady(), &record{}
		st := cable.inner.Load()
		doomed := openOn(t, cable, coord.Config{})
		task, err := join(t, doomed, "coord-a").Accept(ctx, coord.Work{ID: "u-1", Payload: []byte("dig")})
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Checkpoint(ctx, []byte("half")); err != nil {
			t.Fatal(err)
		}
		c := openOn(t, st, coord.Config{Observer: w})
		tries := 0
		m := c.Monitor(coord.Spawn(func(ctx context.Context, o coord.Orphan) error {
			if tries++; tries == 1 {
				return errors.New("no room")
			}
			heir, err := c.Join(ctx, fmt.Sprintf("%s-recovery-%d", o.From, tries))
			if err != nil {
				return err
			}
			task, err := heir.TakeEpoch(ctx, o)
			if err != nil {
				return err
			}
			if last, _ := task.LastCheckpoint(ctx); string(last) != "half" || string(o.Checkpoint) != "half" {
				t.Errorf("inherited %q, was told of %q", last, o.Checkpoint)
			}
			return task.Done(ctx, nil)
		}))
		go func() { _ = m.Run(ctx) }()
		time.Sleep(time.Minute)
		cable.down.Store(true)
		time.Sleep(300 * time.Second)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if tries != 2 || len(of[coord.WorkDone](w)) != 1 || len(of[coord.HandlerFailed](w)) != 1 {
			t.Errorf("%d tries, %d commits", tries, len(of[coord.WorkDone](w)))
		}
	})
}
