package work_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/work"
	"pgregory.net/rapid"
)

func TestTimesAreOrdered(t *testing.T) {
	if err := work.DefaultTimes.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := (work.Times{}).Validate(); !errors.Is(err, work.ErrInvalidTimes) {
		t.Fatal(err)
	}
	longer := work.DefaultTimes
	longer.Freeze *= 2
	if err := longer.Validate(); !errors.Is(err, work.ErrInvalidTimes) {
		t.Fatal("a longer freeze needs longer lives:", err)
	}
}

// Every duration but Refresh is a lower bound of another's, or has one: each, halved, breaks a rule.
func TestEveryTimeIsBound(t *testing.T) {
	for _, name := range []string{"Freeze", "Unit", "Checkpoint", "Progress"} {
		times := work.DefaultTimes
		f := reflect.ValueOf(&times).Elem().FieldByName(name)
		f.SetInt(f.Int() / 2)
		if times.Validate() == nil {
			t.Errorf("%s may be halved", name)
		}
	}
}

func TestDataHasOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		raw, err := json.Marshal(work.Data(want))
		var got work.Data
		if err := errors.Join(err, json.Unmarshal(raw, &got)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q became %s became %q: %v", want, raw, got, err)
		}
	})
}

// What an owner holds outlives a hundred days, as long as it refreshes; what is over is deleted from its list.
func TestRefreshedWorkDoesNotExpire(t *testing.T) {
	d, mem, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	units := accepted(t, d, a, 2)
	l := d.List(a)
	if run, _, err := l.Scan(ctx); len(run) != 2 || err != nil {
		t.Fatal(run, err)
	}
	h, _, err := d.Begin(ctx, a, units[0], 1)
	over, _, overErr := d.Begin(ctx, a, units[1], 1)
	if err := errors.Join(err, overErr, h.Checkpoint(ctx, []byte("state")), over.Done(ctx, nil)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		clock.Advance(work.DefaultTimes.Refresh)
		if err := errors.Join(l.Refresh(ctx), h.Refresh(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := mem.Keys(ctx, d.Space.Intents("a", 1).EntryPrefix()); len(left) != 1 {
		t.Fatal(left)
	}
	inherits(t, d, a, b, "state")
}

func inherits(t *testing.T, d *work.Desk, from, to work.Owner, want string) {
	t.Helper()
	dead(t, d, from)
	if moved, _, err := d.HandOver(ctx, from, always(to)); len(moved) != 1 || err != nil {
		t.Fatal(moved, err)
	}
	run, _, err := d.List(to).Scan(ctx)
	if len(run) != 1 || err != nil {
		t.Fatal(run, err)
	}
	if _, base, err := d.Begin(ctx, to, run[0].Unit, run[0].Epoch); string(base) != want || err != nil {
		t.Fatalf("%q %v", base, err)
	}
}

// Where there is no heir for months, the attempts to find one keep the work alive.
func TestWorkWithoutAnHeirDoesNotExpire(t *testing.T) {
	d, _, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	accepted(t, d, a, 1)
	dead(t, d, a)
	nobody := func(work.Unit, int64, []work.Owner) (work.Owner, bool) { return work.Owner{}, false }
	for range 50 {
		clock.Advance(24 * time.Hour)
		if _, _, err := d.HandOver(ctx, a, nobody); !errors.Is(err, work.ErrNoHeir) {
			t.Fatal(err)
		}
	}
	inherits(t, d, a, b, "")
}

// An heir whose predecessor touched ten thousand times finds the checkpoint all the same.
func TestTouchesHideNoCheckpoint(t *testing.T) {
	d, _, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state"))); err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if err := h.Touch(ctx); err != nil {
			t.Fatal(err)
		}
	}
	inherits(t, d, a, b, "state")
}
