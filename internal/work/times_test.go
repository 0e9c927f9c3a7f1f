package work_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
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

// The same for one who runs what he claimed, and never scans.
func TestWorkOfOneWhoNeverScansDoesNotExpire(t *testing.T) {
	d, _, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	l := d.List(a)
	if !l.Take(u.ID, 1) {
		t.Fatal("it is not mine to begin")
	}
	h, _, err := d.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state"))); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		clock.Advance(work.DefaultTimes.Refresh)
		if err := errors.Join(l.Refresh(ctx), h.Refresh(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if mine, _, err := d.Claim(ctx, b, u, 0); mine || err != nil {
		t.Fatal("X1: it has a second first owner:", err)
	}
	inherits(t, d, a, b, "state")
}

// What Refresh has read is for the next Scan all the same, and so is what it could not make out.
func TestRefreshTakesNothingFromScan(t *testing.T) {
	d, mem, _ := fixture(t)
	a := owner1("a")
	accepted(t, d, a, 3)
	names := d.Space.Intents(a.ID, 1)
	if err := mem.SetEX(ctx, names.Entry(2), []byte("{}"), time.Hour); err != nil {
		t.Fatal(err)
	}
	l := d.List(a)
	if err := l.Refresh(ctx); err != nil || l.Idle(3) {
		t.Fatal("there is nothing to scan:", err)
	}
	if run, aside, err := l.Scan(ctx); len(run) != 2 || len(aside) != 1 || aside[0].Key != names.Entry(2) || err != nil {
		t.Fatal(run, aside, err)
	}
	if run, aside, err := l.Scan(ctx); len(run)+len(aside) > 0 || err != nil || !l.Idle(3) {
		t.Fatal("said twice:", run, aside, err)
	}
}

// The same where a decision cannot be made out until somebody deletes what a forger wrote.
func TestWorkThatWasSetAsideDoesNotExpire(t *testing.T) {
	d, mem, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	forged := d.Space.Epoch(u.ID, 1).Decision()
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state")), mem.SetEX(ctx, forged, []byte("{}"), 365*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	dead(t, d, a)
	for range 100 {
		clock.Advance(24 * time.Hour)
		if _, _, err := d.HandOver(ctx, a, always(b)); !errors.Is(err, work.ErrSetAside) {
			t.Fatal(err)
		}
	}
	if _, err := mem.Expire(ctx, forged, 0); err != nil {
		t.Fatal(err)
	}
	inherits(t, d, a, b, "state")
}

// The same for what somebody with a newer key of the ring has accepted, until a monitor has that key too.
func TestWorkInANewerKeyDoesNotExpire(t *testing.T) {
	d, _, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	newer := *d
	newer.Ring = newerRing(t)
	u := accepted(t, &newer, a, 1)[0]
	h, _, err := newer.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state"))); err != nil {
		t.Fatal(err)
	}
	dead(t, d, a)
	for range 100 {
		clock.Advance(24 * time.Hour)
		if _, aside, err := d.HandOver(ctx, a, always(b)); len(aside) != 1 || !errors.Is(err, work.ErrSetAside) {
			t.Fatal(aside, err)
		}
	}
	inherits(t, &newer, a, b, "state")
}

// An intent that does not verify costs little, whatever it says.
func TestAnUnverifiedEpochIsNotWalkedDown(t *testing.T) {
	d, mem, _ := fixture(t)
	a := owner1("a")
	u := accepted(t, d, a, 1)[0]
	names := d.Space.Intents(a.ID, 1)
	record := fmt.Sprintf(`{"v":1,"unit":{"id":"u","digest":%q},"epoch":%d}`, u.Digest, int64(1)<<60)
	value := newerRing(t).Seal(nil, envelope.KindIntent, []byte(record), a.ID, "1")
	n, err := mem.Incr(ctx, names.Tail)
	if err := errors.Join(err, mem.SetEX(ctx, names.Entry(n), value, time.Hour)); err != nil {
		t.Fatal(err)
	}
	dead(t, d, a)
	counting := &counted{Store: mem}
	d.Store = counting
	if moved, aside, err := d.HandOver(ctx, a, always(owner1("b"))); len(moved) != 1 || len(aside) != 1 || !errors.Is(err, work.ErrSetAside) {
		t.Fatal(moved, aside, err)
	}
	if counting.gets > 100 {
		t.Errorf("%d reads", counting.gets)
	}
}

// counted counts reads, and has an end of them.
type counted struct {
	store.Store
	gets int
}

func (s *counted) Get(ctx context.Context, key string) ([]byte, error) {
	if s.gets++; s.gets > 10_000 {
		return nil, store.ErrDenied
	}
	return s.Store.Get(ctx, key)
}

// A decision that only others can make out lives as long as the intent that it ends: else who cannot make it out would
// decide again (X1).
func TestADecisionInANewerKeyOutlivesTheIntent(t *testing.T) {
	d, _, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	newer := *d
	newer.Ring = newerRing(t)
	dead(t, d, a)
	if _, _, err := newer.Close(ctx, u, 1, always(b)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		clock.Advance(24 * time.Hour)
		if moved, _, err := d.HandOver(ctx, a, always(owner1("c"))); !errors.Is(err, work.ErrSetAside) {
			t.Fatal(moved, err)
		}
	}
}

// The checkpoint that an heir would begin with outlives the months in which it cannot begin.
func TestTheBaseOfWhatCannotBeginDoesNotExpire(t *testing.T) {
	d, mem, clock := fixture(t)
	a, b, c := owner1("a"), owner1("b"), owner1("c")
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state"))); err != nil {
		t.Fatal(err)
	}
	dead(t, d, a)
	if _, _, err := d.HandOver(ctx, a, always(b)); err != nil {
		t.Fatal(err)
	}
	payload := d.Space.Unit(u.ID, u.Digest)
	was, _ := mem.Get(ctx, payload)
	l := d.List(b)
	run, _, err := l.Scan(ctx)
	if err := errors.Join(err, mem.SetEX(ctx, payload, []byte("{}"), time.Hour)); len(run) != 1 || err != nil {
		t.Fatal(run, err)
	}
	if _, _, err := d.Begin(ctx, b, run[0].Unit, 2); !errors.Is(err, work.ErrMalformed) {
		t.Fatal(err)
	}
	for range 100 {
		clock.Advance(work.DefaultTimes.Refresh)
		if err := l.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := mem.SetEX(ctx, payload, was, time.Hour); err != nil {
		t.Fatal(err)
	}
	inherits(t, d, b, c, "state")
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
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("state"))); err != nil {
		t.Fatal(err)
	}
	dead(t, d, a)
	heirless(t, d, clock, a)
	inherits(t, d, a, b, "state")
}

// undecided is a store on which no agreement about a unit ends.
type undecided struct{ store.Store }

func (s undecided) Incr(ctx context.Context, key string) (int64, error) {
	if strings.Contains(key, "{work/") {
		return 0, store.ErrDenied
	}
	return s.Store.Incr(ctx, key)
}

// Two who died half-way through accepting a unit, each with a payload of its own, were given the same heir: the payload
// that was decided is kept alive, not the one that stands first in the heir's list.
func TestThePayloadThatWasDecidedDoesNotExpire(t *testing.T) {
	d, mem, clock := fixture(t)
	a, b := owner1("a"), owner1("b")
	other, err := d.PutUnit(ctx, "u", []byte("another payload"), 0)
	u, putErr := d.PutUnit(ctx, "u", []byte("payload"), 0)
	if err := errors.Join(err, putErr); err != nil {
		t.Fatal(err)
	}
	halfway := *d
	halfway.Store = undecided{mem}
	if _, _, err := halfway.Close(ctx, other, 0, always(a)); !errors.Is(err, store.ErrDenied) {
		t.Fatal(err)
	}
	if _, mine, err := d.Close(ctx, u, 0, always(a)); !mine || err != nil {
		t.Fatal(mine, err)
	}
	dead(t, d, a)
	heirless(t, d, clock, a)
	inherits(t, d, a, b, "")
}

// heirless is a hundred days of attempts to find an heir.
func heirless(t *testing.T, d *work.Desk, clock *memstore.FakeClock, o work.Owner) {
	t.Helper()
	nobody := func(work.Unit, int64, []work.Owner) (work.Owner, bool) { return work.Owner{}, false }
	for range 100 {
		clock.Advance(24 * time.Hour)
		if _, _, err := d.HandOver(ctx, o, nobody); !errors.Is(err, work.ErrNoHeir) {
			t.Fatal(err)
		}
	}
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
