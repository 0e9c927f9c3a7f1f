package coord_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestAcceptCheckpointDone(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	a, b := join(t, open(t, st, coord.Config{}), "coord-a"), join(t, open(t, st, coord.Config{}), "coord-b")
	task, err := a.Accept(ctx, coord.Work{ID: "u-1", Payload: []byte("dig")})
	if err != nil || string(task.Payload()) != "dig" || task.Epoch() != 1 {
		t.Fatalf("%+v, %v", task, err)
	}
	if _, err := b.Accept(ctx, coord.Work{ID: "u-1", Payload: []byte("dig")}); !errors.Is(err, coord.ErrTaken) {
		t.Fatalf("a second owner: %v", err)
	}
	if err := task.Checkpoint(ctx, []byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := task.Done(ctx, []byte("hole")); err != nil {
		t.Fatal(err)
	}
	if err := task.Done(ctx, []byte("other")); !errors.Is(err, coord.ErrDone) {
		t.Fatalf("done twice: %v", err)
	}
	if !errors.Is(context.Cause(task.Context()), coord.ErrDone) {
		t.Fatalf("context: %v", context.Cause(task.Context()))
	}
}

func TestLeaveHandsWorkOverAtOnce(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	a, b := join(t, open(t, st, coord.Config{}), "coord-a"), join(t, open(t, st, coord.Config{}), "coord-b")
	inherited := make(chan *coord.Task, 1)
	if err := b.OnTakeOver(func(_ context.Context, t *coord.Task) error { inherited <- t; return nil }); err != nil {
		t.Fatal(err)
	}
	waitForHeir(t, st)
	task, err := a.Accept(ctx, coord.Work{ID: "u-1", Payload: []byte("dig")})
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Checkpoint(ctx, []byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := a.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := task.Done(ctx, nil); !errors.Is(err, coord.ErrClosed) {
		t.Fatalf("the one who left: %v", err)
	}
	heir := <-inherited
	if last, err := heir.LastCheckpoint(ctx); string(last) != "half" || heir.Epoch() != 2 || string(heir.Payload()) != "dig" {
		t.Fatalf("inherited %q in epoch %d, %v", last, heir.Epoch(), err)
	}
	if err := heir.Done(ctx, []byte("hole")); err != nil {
		t.Fatal(err)
	}
}

func TestUnownedWorkWaitsForSomebody(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	c := open(t, st, coord.Config{Poll: 10 * time.Millisecond})
	for _, id := range []string{"u-1", "u-2", "u-3"} {
		if err := c.AddWork(ctx, coord.Work{ID: id, Payload: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	a := join(t, c, "coord-a")
	done := make(chan string, 3)
	err := a.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
		defer func() { done <- task.ID() }()
		return task.Done(ctx, nil)
	}, coord.Claiming(2))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		seen[<-done] = true
	}
	if len(seen) != 3 {
		t.Fatalf("%v", seen)
	}
	if err := c.AddWork(ctx, coord.Work{ID: "u-1", Payload: []byte("u-1")}); err != nil {
		t.Errorf("added again: %v", err)
	}
	if err := c.AddWork(ctx, coord.Work{ID: "u-1", Payload: []byte("other")}); !errors.Is(err, coord.ErrTaken) {
		t.Errorf("another payload under the id of a unit that is done: %v", err)
	}
}

// waitForHeir returns when a heartbeat that offers to take over stands.
func waitForHeir(t *testing.T, st *memstore.Store) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		names, _ := st.Keys(context.Background(), "blocking:heartbeat:")
		for _, name := range names {
			if value, _ := st.Get(context.Background(), name); bytes.Contains(value, []byte("heir:")) {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("nobody offers to take over")
}

// TestWorkIsBounded: what is too large is refused before anything is written, and everything goes on as if it had not been
// tried; what is just not too large comes back as it was.
func TestWorkIsBounded(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, most, more := t.Context(), bytes.Repeat([]byte{0xfe}, 1<<20), make([]byte, 1<<20+1)
		st := memstore.New()
		c := openOn(t, st, coord.Config{})
		a := join(t, c, "coord-a")
		before := len(must(st.Keys(ctx, "")))
		_, accept := a.Accept(ctx, coord.Work{ID: "u-1", Payload: more})
		_, take := a.TakeEpoch(ctx, coord.Orphan{Unit: "u-1", Payload: more})
		for name, err := range map[string]error{
			"Accept": accept, "TakeEpoch": take, "AddWork": c.AddWork(ctx, coord.Work{ID: "u-1", Payload: more}),
			"AssignWork": c.AssignWork(ctx, coord.Work{ID: "u-1", Payload: more}, "coord-a"),
		} {
			if !errors.Is(err, coord.ErrTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(must(st.Keys(ctx, ""))); n != before {
			t.Errorf("%d keys became %d", before, n)
		}
		task := must(a.Accept(ctx, coord.Work{ID: "u-1", Payload: most}))
		if err := task.Checkpoint(ctx, most); err != nil || !bytes.Equal(task.Payload(), most) {
			t.Error(err)
		}
		for name, err := range map[string]error{"Checkpoint": task.Checkpoint(ctx, more), "Done": task.Done(ctx, more)} {
			if !errors.Is(err, coord.ErrTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if last := must(task.LastCheckpoint(ctx)); !bytes.Equal(last, most) {
			t.Errorf("the last checkpoint has %d bytes", len(last))
		}
		if err := task.Done(ctx, most); err != nil {
			t.Error(err)
		}
	})
}
