package work_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store/memstore"
)

// loses deletes everything.
func loses(t *testing.T, mem *memstore.Store) {
	t.Helper()
	names, err := mem.Keys(ctx, "t")
	for _, name := range names {
		_, e := mem.Expire(ctx, name, 0)
		err = errors.Join(err, e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unit is one that waits for an owner.
func unit(t *testing.T, d *work.Desk, id string) work.Unit {
	t.Helper()
	u, err := d.PutUnit(ctx, id, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func claim(t *testing.T, d *work.Desk, o work.Owner, u work.Unit) {
	t.Helper()
	if mine, _, err := d.Claim(ctx, o, u, 0); !mine || err != nil {
		t.Fatal(mine, err)
	}
}

// regressed: nil, or what a log says that sees its counter lower.
func regressed(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ticketlog.ErrRegressed) {
		t.Fatal(err)
	}
}

// X3: an intent of before the loss is over, and its entry is deleted. Another intent stands there now, and stays, whether
// or not anybody has told the list of the loss.
func TestAnIntentOfBeforeALossTakesNoneWithIt(t *testing.T) {
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			d, mem, _ := fixture(t)
			a, l := owner1("a"), d.List(owner1("a"))
			before := accepted(t, d, a, 2)[0]
			if run, _, err := l.Scan(ctx); len(run) != 2 || err != nil {
				t.Fatal(run, err)
			}
			loses(t, mem)
			if told {
				l.Recheck(nil)
			}
			claim(t, d, a, unit(t, d, "v"))
			claim(t, d, owner1("b"), before)
			var run []work.Intent
			for range 2 {
				some, _, err := l.Scan(ctx)
				regressed(t, err)
				run = append(run, some...)
			}
			if len(run) != 1 || run[0].Unit.ID != "v" {
				t.Error("to run:", run)
			}
			regressed(t, l.Refresh(ctx))
			if left, err := d.Intents(ctx, a); len(left) != 1 || left[0].Unit.ID != "v" || err != nil {
				t.Error("left:", left, err)
			}
		})
	}
}

// X3, X5: after a loss what was taken may be taken again, but not what runs.
func TestWhatRunsIsNotTakenAgain(t *testing.T) {
	d, _, clock := fixture(t)
	a := owner1("a")
	units, l := accepted(t, d, a, 3), d.List(a)
	if run, _, err := l.Scan(ctx); len(run) != 3 || err != nil {
		t.Fatal(run, err)
	}
	l.Recheck([]work.Intent{{Unit: units[1], Epoch: 1}})
	var again []string
	for range 3 {
		run, _, err := l.Scan(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range run {
			again = append(again, i.Unit.ID)
		}
		clock.Advance(time.Minute)
	}
	if !slices.Equal(again, []string{units[0].ID, units[2].ID}) {
		t.Error(again)
	}
}

// X3: the same on a board, where what was claimed is deleted.
func TestAUnitOfBeforeALossTakesNoneWithIt(t *testing.T) {
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			d, mem, _ := fixture(t)
			add := func(id string) (u work.Unit) {
				u = unit(t, d, id)
				if err := d.AddOpen(ctx, u); err != nil {
					t.Fatal(err)
				}
				return u
			}
			r, before := d.OpenUnits(), add("u-1")
			add("u-2")
			if units, _, err := r.Read(ctx); len(units) != 2 || err != nil {
				t.Fatal(units, err)
			}
			loses(t, mem)
			if told {
				r.Recheck()
			}
			add("v")
			claim(t, d, owner1("b"), before)
			for range 2 {
				_, _, err := r.Read(ctx)
				regressed(t, err)
			}
			if units, _, err := d.OpenUnits().Read(ctx); len(units) != 1 || units[0].ID != "v" || err != nil {
				t.Error("left:", units, err)
			}
		})
	}
}

// X4: versions that were tried and never counted are made up for at once, and an heir begins with what was acknowledged.
func TestAVersionFarAheadOfItsCounter(t *testing.T) {
	d, mem, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	for range 1000 {
		err = errors.Join(err, h.Checkpoint(ctx, []byte("old")))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Expire(ctx, d.Space.Progress(u.ID, 1), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Checkpoint(ctx, []byte("new")); err != nil { // the fixture allows no second attempt
		t.Fatal(err)
	}
	inherits(t, d, a, b, "new")
}
