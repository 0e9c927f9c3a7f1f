package coord_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestAssignWork(t *testing.T) {
	ctx, st, w := t.Context(), memstore.New(), &record{}
	c := open(t, st, coord.Config{Observer: w, Poll: 10 * time.Millisecond})
	b, unit := join(t, c, "coord-b"), coord.Work{ID: "u-1", Payload: []byte("dig")}
	if err := c.AssignWork(ctx, unit, "coord-b"); !errors.Is(err, coord.ErrNoHeir) {
		t.Fatalf("to one that takes no work over: %v", err)
	}
	got := make(chan *coord.Task, 2)
	if err := b.OnTakeOver(func(_ context.Context, task *coord.Task) error { got <- task; return nil }); err != nil {
		t.Fatal(err)
	}
	waitForHeir(t, st)
	for range 2 {
		if err := c.AssignWork(ctx, unit, "coord-b"); err != nil {
			t.Fatal(err)
		}
	}
	task := <-got
	if task.ID() != "u-1" || task.Epoch() != 1 || string(task.Payload()) != "dig" || len(of[coord.WorkHandedOver](w)) != 1 {
		t.Errorf("%s, epoch %d, payload %q, %d hand-overs", task.ID(), task.Epoch(), task.Payload(), len(of[coord.WorkHandedOver](w)))
	}
	a := join(t, c, "coord-a")
	if err := a.OnTakeOver(finish); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); !errors.Is(err, coord.ErrTaken); err = c.AssignWork(ctx, unit, "coord-a") {
		if err != nil && !errors.Is(err, coord.ErrNoHeir) { // the heartbeat that says that it takes work is under way
			t.Fatalf("what another owns: %v", err)
		}
	}
	if err := c.AssignWork(ctx, coord.Work{ID: "u-2"}, "nobody"); !errors.Is(err, coord.ErrNoHeir) {
		t.Errorf("to nobody: %v", err)
	}
	if err := task.Done(ctx, nil); err != nil {
		t.Error(err)
	}
}
