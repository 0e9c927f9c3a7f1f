package work_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

func owner1(id string) work.Owner { return work.Owner{ID: id, Incarnation: 1} }

// accepted lets o accept n units.
func accepted(t *testing.T, d *work.Desk, o work.Owner, n int) (units []work.Unit) {
	t.Helper()
	for i := range n {
		u, err := d.PutUnit(ctx, fmt.Sprintf("u%02d", i), fmt.Appendf(nil, "payload %d", i), 0)
		mine, _, claimErr := d.Claim(ctx, o, u, 0)
		if err != nil || claimErr != nil || !mine {
			t.Fatal(mine, err, claimErr)
		}
		units = append(units, u)
	}
	return units
}

func dead(t *testing.T, d *work.Desk, o work.Owner) {
	t.Helper()
	if _, _, err := d.DecideDead(ctx, o, work.Death{Reason: work.Silent}); err != nil {
		t.Fatal(err)
	}
}

// Three monitors, each with an heir of its own in mind, find one dead that had 20 units: 20 hand-overs, one heir each.
func TestThreeMonitorsTwentyUnitsOneHeirEach(t *testing.T) {
	for seed := range uint64(40) {
		w := sim.New(sim.Random(seed), sim.Options{Preemptions: -1})
		straight := deskIn(w, "judge", w.Store, nil)
		accepted(t, straight, owner1("a"), 20)
		var moved []work.Move
		for i, heir := range []string{"b", "c", "d"} {
			name := fmt.Sprintf("m%d", i)
			w.Spawn(name, func(a *sim.Actor) {
				d := deskIn(w, name, a.Store(), a)
				_, _, _ = d.DecideDead(ctx, owner1("a"), work.Death{Reason: work.Silent})
				some, _, err := d.HandOver(ctx, owner1("a"), always(owner1(heir)))
				if moved = append(moved, some...); err != nil {
					t.Error(err)
				}
			})
		}
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		checkTwenty(t, straight, moved)
	}
}

// deskIn is a desk in a world, whose actor waits longer the later its name is.
func deskIn(w *sim.World, by string, s store.Store, a *sim.Actor) *work.Desk {
	return &work.Desk{
		Store: s, Space: keys.In("t"), Ring: ring(), Times: work.DefaultTimes, Now: w.Now, By: by,
		Pause: func(_ context.Context, attempt int) error {
			a.Sleep(time.Duration(attempt*int(by[1])) * time.Millisecond)
			return nil
		},
	}
}

func checkTwenty(t *testing.T, d *work.Desk, moved []work.Move) {
	t.Helper()
	var units []string
	for _, m := range moved {
		units = append(units, m.Unit.ID)
		if dec, found, err := d.Ended(ctx, m.Unit.ID, 1); !found || err != nil || !dec.Gives(m.To) {
			t.Errorf("%s was reported to go to %v: %+v %v", m.Unit.ID, m.To, dec, err)
		}
		if _, again, _ := d.Ended(ctx, m.Unit.ID, 2); again {
			t.Errorf("%s was handed over twice", m.Unit.ID)
		}
	}
	slices.Sort(units)
	if len(units) != 20 || len(slices.Compact(units)) != 20 {
		t.Fatalf("%d hand-overs, want 20 of different units: %v", len(moved), units)
	}
}

func TestOneMalformedAmongSix(t *testing.T) {
	d, mem, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	accepted(t, d, a, 6)
	log := d.Space.Intents("a", 1)
	if err := mem.SetEX(ctx, log.Entry(3), []byte(`{"unit":`), time.Hour); err != nil {
		t.Fatal(err)
	}
	l := d.List(a)
	if run, aside, err := l.Scan(ctx); len(run) != 5 || len(aside) != 1 || err != nil {
		t.Fatal(run, aside, err)
	}
	dead(t, d, a)
	moved, aside, err := d.HandOver(ctx, a, always(b))
	if len(moved) != 5 || len(aside) != 1 || aside[0].Key != log.Entry(3) || !errors.Is(aside[0].Err, work.ErrMalformed) || err != nil {
		t.Fatal(moved, aside, err)
	}
	if handled, _ := d.Handled(ctx, a); !handled {
		t.Fatal("what nobody will ever read holds up the rest for ever")
	}
}

// What another key of the ring may open one day is no rubbish: the dead stays unhandled until somebody can read it.
func TestANewerKeyHoldsUpNothingButItself(t *testing.T) {
	d, _, _ := fixture(t)
	newer := *d
	newer.Ring = newerRing(t)
	a, b := owner1("a"), owner1("b")
	accepted(t, d, a, 1)
	u, err := newer.PutUnit(ctx, "new", nil, 0)
	if _, _, claimErr := newer.Claim(ctx, a, u, 0); err != nil || claimErr != nil {
		t.Fatal(err, claimErr)
	}
	dead(t, d, a)
	moved, aside, err := d.HandOver(ctx, a, always(b))
	if handled, _ := d.Handled(ctx, a); len(moved) != 1 || len(aside) != 1 || !errors.Is(err, work.ErrSetAside) || handled {
		t.Fatal(moved, aside, err, handled)
	}
	moved, aside, err = newer.HandOver(ctx, a, always(b))
	if handled, _ := newer.Handled(ctx, a); len(moved) != 1 || len(aside) != 0 || err != nil || !handled {
		t.Fatal(moved, aside, err, handled)
	}
}

// newerRing signs with a key that the fixture's ring has not.
func newerRing(t *testing.T) *envelope.Ring {
	t.Helper()
	r, err := envelope.NewRing("t",
		envelope.Key{ID: "2", Secret: []byte("fedcba9876543210fedcba9876543210")},
		envelope.Key{ID: envelope.DefaultKeyID, Secret: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAForgedDecisionHoldsUpOneUnit(t *testing.T) {
	d, mem, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	accepted(t, d, a, 3)
	forged := d.Space.Epoch("u01", 1).Decision()
	_ = mem.SetEX(ctx, forged, []byte(`{"v":1,"done":{}}`), time.Hour)
	dead(t, d, a)
	moved, aside, err := d.HandOver(ctx, a, always(b))
	if len(moved) != 2 || len(aside) != 1 || !errors.Is(aside[0].Err, agree.ErrForged) || !errors.Is(err, work.ErrSetAside) {
		t.Fatal(moved, aside, err)
	}
	_, _ = mem.Expire(ctx, forged, 0)
	if moved, _, err := d.HandOver(ctx, a, always(b)); len(moved) != 1 || err != nil {
		t.Fatal(moved, err)
	}
}

// A payload that was altered is found by whoever is to run it; the digest in the decision says what it was.
func TestAnAlteredPayloadIsRefused(t *testing.T) {
	d, mem, _ := fixture(t)
	a := owner1("a")
	units := accepted(t, d, a, 2)
	other, _ := mem.Get(ctx, d.Space.Unit(units[1].ID, units[1].Digest))
	_ = mem.SetEX(ctx, d.Space.Unit(units[0].ID, units[0].Digest), other, time.Hour)
	if _, _, err := d.Begin(ctx, a, units[0], 1); !errors.Is(err, work.ErrMalformed) {
		t.Fatal(err)
	}
	_, _ = mem.Expire(ctx, d.Space.Unit(units[1].ID, units[1].Digest), 0)
	if _, _, err := d.Begin(ctx, a, units[1], 1); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
}

// A checkpoint that does not verify may have been the newest: going on from an older one would take back what was
// acknowledged.
func TestAnAlteredCheckpointIsNoAbsentOne(t *testing.T) {
	d, mem, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	u := accepted(t, d, a, 1)[0]
	h, _, err := d.Begin(ctx, a, u, 1)
	if err := errors.Join(err, h.Checkpoint(ctx, []byte("one")), h.Checkpoint(ctx, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	_ = mem.SetEX(ctx, d.Space.Checkpoint(u.ID, 1, 3), []byte("{}"), time.Hour)
	dead(t, d, a)
	_, _, _ = d.HandOver(ctx, a, always(b))
	if _, _, err := d.Begin(ctx, b, u, 2); !errors.Is(err, work.ErrMalformed) {
		t.Fatal(err)
	}
}

func TestNobodySkipsAnEpoch(t *testing.T) {
	d, _, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	u, _ := d.PutUnit(ctx, "u", nil, 0)
	if _, _, err := d.Claim(ctx, a, u, 1); !errors.Is(err, work.ErrNotOwned) {
		t.Fatal(err)
	}
	if _, _, err := d.Close(ctx, u, 1, always(b)); !errors.Is(err, work.ErrNotOwned) {
		t.Fatal(err)
	}
	accepted(t, d, a, 1)
	h, _, err := d.Begin(ctx, a, work.Unit{ID: "u00", Digest: mustEnd(t, d, "u00", 0).Digest}, 1)
	if err := errors.Join(err, h.Done(ctx, nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Close(ctx, h.Unit, 2, always(b)); !errors.Is(err, work.ErrNotOwned) {
		t.Fatal("a unit that is done was opened again:", err)
	}
	if err := h.Checkpoint(ctx, nil); !errors.Is(err, work.ErrDone) {
		t.Fatal(err)
	}
	if _, _, err := d.Begin(ctx, b, h.Unit, 1); !errors.Is(err, work.ErrFenced) {
		t.Fatal(err)
	}
}

func mustEnd(t *testing.T, d *work.Desk, unit string, e int64) work.Decision {
	t.Helper()
	dec, found, err := d.Ended(ctx, unit, e)
	if !found || err != nil {
		t.Fatal(found, err)
	}
	return dec
}

// An owner that lives and makes no progress loses the epoch, not its life.
func TestAnEpochIsClosedUnderTheLiving(t *testing.T) {
	d, _, _ := fixture(t)
	a, b := owner1("a"), owner1("b")
	u, _ := d.PutUnit(ctx, "slow", nil, time.Minute)
	_, _, _ = d.Claim(ctx, a, u, 0)
	h, _, err := d.Begin(ctx, a, u, 1)
	if err != nil || h.Progress != time.Minute {
		t.Fatal(h, err)
	}
	r := d.Deadlines()
	all, aside, err := r.Read(ctx)
	if len(all) != 1 || len(aside) != 0 || err != nil || all[0] != (work.Deadline{Unit: u, Epoch: 1, Owner: a, Within: time.Minute}) {
		t.Fatal(all, aside, err)
	}
	before, _ := d.Progress(ctx, u.ID, 1)
	if after, err := d.Progress(ctx, u.ID, 1); h.Touch(ctx) != nil || err != nil || after != before {
		t.Fatal(before, after, err)
	}
	if after, _ := d.Progress(ctx, u.ID, 1); after != before+1 {
		t.Fatal("a touch is not seen")
	}
	if dec, mine, err := d.Close(ctx, u, 1, always(b)); err != nil || !mine || !dec.Gives(b) {
		t.Fatal(dec, mine, err)
	}
	if err := h.Checkpoint(ctx, nil); !errors.Is(err, work.ErrFenced) {
		t.Fatal(err)
	}
	if all, _, err := r.Read(ctx); len(all) != 0 || err != nil {
		t.Fatal(all, err)
	}
}

func TestUnitsWithoutAnOwnerWait(t *testing.T) {
	d, mem, _ := fixture(t)
	a := owner1("a")
	r, late := d.OpenUnits(), d.OpenUnits()
	var units []work.Unit
	for _, id := range []string{"x", "y"} {
		u, err := d.PutUnit(ctx, id, []byte(id), 0)
		if err := errors.Join(err, d.AddOpen(ctx, u)); err != nil {
			t.Fatal(err)
		}
		units = append(units, u)
	}
	_ = mem.SetEX(ctx, d.Space.Open().Entry(3), []byte("rubbish"), time.Hour)
	_, _ = mem.Incr(ctx, d.Space.Open().Tail)
	for range 2 {
		if waiting, _, err := r.Read(ctx); err != nil || !slices.Equal(waiting, units) {
			t.Fatal(waiting, err)
		}
	}
	if mine, _, err := d.Claim(ctx, a, units[0], 0); !mine || err != nil {
		t.Fatal(mine, err)
	}
	for _, reader := range []*work.OpenReader{r, late} {
		if waiting, _, err := reader.Read(ctx); err != nil || !slices.Equal(waiting, units[1:]) {
			t.Fatal(waiting, err)
		}
	}
}

func TestAJoinSupersedesWhatCameBefore(t *testing.T) {
	d, _, _ := fixture(t)
	dead(t, d, work.Owner{ID: "a", Incarnation: 3})
	if err := d.Supersede(ctx, work.Owner{ID: "a", Incarnation: 7}); err != nil {
		t.Fatal(err)
	}
	for j := int64(1); j <= 7; j++ {
		death, found, err := d.Dead(ctx, work.Owner{ID: "a", Incarnation: j})
		if want := j >= 3 && j <= 6; found != want || err != nil || want && j > 3 && death.Reason != work.Superseded {
			t.Errorf("%d: %+v %v %v", j, death, found, err)
		}
	}
}

// denied refuses what it is asked of some keys.
type denied struct {
	store.Store
	part string
}

func (s denied) Get(ctx context.Context, key string) ([]byte, error) {
	if strings.Contains(key, s.part) {
		return nil, store.ErrDenied
	}
	return s.Store.Get(ctx, key)
}

// A monitor without permission to read must not take the unreadable for rubbish.
func TestWhoMayNotReadHandlesNobody(t *testing.T) {
	for _, part := range []string{":entry:", "{work/u00/0}", "{work/u00/1}", "{dead/b/"} {
		d, mem, _ := fixture(t)
		a, b := owner1("a"), owner1("b")
		accepted(t, d, a, 1)
		dead(t, d, a)
		d.Store = denied{mem, part}
		if moved, aside, err := d.HandOver(ctx, a, always(b)); !errors.Is(err, store.ErrDenied) || len(moved)+len(aside) > 0 {
			t.Error(part, moved, aside, err)
		}
		if handled, _ := d.Handled(ctx, a); handled {
			t.Error(part, "handled")
		}
		d.Store = mem
		if moved, _, err := d.HandOver(ctx, a, always(b)); len(moved) != 1 || err != nil {
			t.Error(part, moved, err)
		}
	}
}

// Where only the dead are proposed, their lists do not grow: each attempt would add to one list the length of the others.
func TestTheListsOfTheDeadDoNotGrow(t *testing.T) {
	d, mem, _ := fixture(t)
	all := []work.Owner{owner1("a"), owner1("b"), owner1("c")}
	accepted(t, d, all[0], 1)
	anybody := func(_ work.Unit, _ int64, not []work.Owner) (work.Owner, bool) {
		for _, o := range all {
			if !slices.Contains(not, o) {
				return o, true
			}
		}
		return work.Owner{}, false
	}
	for _, o := range all {
		dead(t, d, o)
	}
	for range 10 {
		for _, o := range all {
			_, _, _ = d.HandOver(ctx, o, anybody)
		}
	}
	for _, o := range all[1:] {
		if tail, err := mem.Get(ctx, d.Space.Intents(o.ID, 1).Tail); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v has %s intents", o, tail)
		}
	}
}
