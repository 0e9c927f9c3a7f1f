package work_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store/memstore"
)

var ctx = context.Background()

func fixture(t *testing.T) (*work.Desk, *memstore.Store, *memstore.FakeClock) {
	t.Helper()
	clock := memstore.NewFakeClock(time.Time{})
	mem := memstore.New(memstore.WithClock(clock))
	return &work.Desk{
		Store: mem, Space: keys.In("t"), Ring: ring(), Times: work.DefaultTimes, Now: clock.Now, By: "m",
		Pause: func(context.Context, int) error { return errors.New("nobody else is here to wait for") },
	}, mem, clock
}

var theRing = func() *envelope.Ring {
	r, err := envelope.NewRing("t", envelope.Key{Secret: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		panic(err)
	}
	return r
}()

func ring() *envelope.Ring { return theRing }

func always(o work.Owner) work.Choose {
	return func(work.Unit, int64, []work.Owner) (work.Owner, bool) { return o, true }
}

// The life of a unit: accepted, half done, inherited, finished; the first owner is fenced.
func TestAUnitIsInherited(t *testing.T) {
	d, _, _ := fixture(t)
	a, b := work.Owner{ID: "a", Incarnation: 1}, work.Owner{ID: "b", Incarnation: 1}
	u, err := d.PutUnit(ctx, "u", []byte("payload"), 0)
	if err != nil {
		t.Fatal(err)
	}
	mine, _, err := d.Claim(ctx, a, u, 0)
	if !mine || err != nil {
		t.Fatal(mine, err)
	}
	h, base, err := d.Begin(ctx, a, u, 1)
	if err != nil || len(base) != 0 || string(h.Payload) != "payload" {
		t.Fatal(h, base, err)
	}
	for _, s := range []string{"one", "two", "three"} {
		if err := h.Checkpoint(ctx, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.HandOver(ctx, a, always(b)); !errors.Is(err, work.ErrNotDead) {
		t.Fatal(err)
	}
	if _, mine, err := d.DecideDead(ctx, a, work.Death{Reason: work.Silent}); !mine || err != nil {
		t.Fatal(mine, err)
	}
	moved, aside, err := d.HandOver(ctx, a, always(b))
	if err != nil || len(moved) != 1 || len(aside) != 0 || moved[0].To != b || moved[0].Epoch != 2 {
		t.Fatal(moved, aside, err)
	}
	if ok, err := d.Handled(ctx, a); !ok || err != nil {
		t.Fatal(ok, err)
	}
	l := d.List(b)
	run, aside, err := l.Scan(ctx)
	if err != nil || len(run) != 1 || len(aside) != 0 {
		t.Fatal(run, aside, err)
	}
	h2, base, err := d.Begin(ctx, b, run[0].Unit, run[0].Epoch)
	if err != nil || string(base) != "three" {
		t.Fatal(base, err)
	}
	if err := h.Checkpoint(ctx, []byte("four")); !errors.Is(err, work.ErrFenced) {
		t.Fatal(err)
	}
	if err := h.Done(ctx, []byte("zombie")); !errors.Is(err, work.ErrFenced) {
		t.Fatal(err)
	}
	if err := errors.Join(h2.Done(ctx, []byte("result")), h2.Done(ctx, []byte("result"))); err != nil {
		t.Fatal(err)
	}
	if err := h2.Done(ctx, []byte("another")); !errors.Is(err, work.ErrDone) {
		t.Fatal(err)
	}
}
