package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
)

// D1 to D4 with a late index, in calm: whoever is in it and whoever is not is found inside the same bounds.
func TestD1WithALateIndex(t *testing.T) {
	found, ends := 0, [2]float64{1, 1}
	for seed := range uint64(runs(1000)) {
		w := (draw{Chooser: dice(seed), index: true}).calm((*detect.Watch).Check)
		if w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.transcript())
		}
		found += w.found
		ends = [2]float64{min(ends[0], w.ends[0]), min(ends[1], w.ends[1])}
	}
	t.Logf("counted %d runs", runs(1000))
	t.Logf("counted %d deaths; the nearest to the bounds were %.3f and %.3f checks away", found, ends[0], ends[1])
}

func TestEverythingAtOnceWithALateIndex(t *testing.T) {
	for seed := range uint64(runs(700)) {
		if w := (draw{Chooser: dice(seed), index: true}).stormy((*detect.Watch).Check, true); w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.transcript())
		}
	}
	t.Logf("counted %d runs", runs(700))
}

// afterAnOutage: the store fails while p is cut off and late, and lets its heartbeat expire. The monitor sees it fail, or
// is away itself.
func afterAnOutage(check procedure, away bool) *ward {
	w := newWard(detect.Policy{
		Beat: 5 * time.Second, TTL: 30 * time.Second, Stale: 30 * time.Second,
		Warnings: 1, Spacing: time.Second, Window: time.Minute, Check: 5 * time.Second,
	})
	w.check, w.calm, w.fewer = check, false, -1
	m, p := w.hire("m", 0), w.admit("p")
	w.at(1, p.join)
	w.at(time.Minute, func() { p.isolate(17 * time.Second) })
	if away {
		w.at(77*time.Second, func() { m.stall(62 * time.Second) })
	}
	w.at(78*time.Second, func() { w.outage(time.Minute-time.Second, false) })
	w.until(5 * time.Minute)
	return w
}

// D2: what nobody looked at is not made up for.
func TestNothingIsMadeUpForAfterAnOutage(t *testing.T) {
	for _, away := range []bool{false, true} {
		w := afterAnOutage((*detect.Watch).Check, away)
		if w.wantFine(t); len(w.facts) > 0 {
			t.Fatal(w.transcript())
		}
		if w = afterAnOutage(detect.Mutant{Undoubting: true}.Check, away); len(w.facts) == 0 {
			t.Errorf("it makes no difference: %s", w.transcript())
		}
	}
	t.Log("counted 1 mutants")
}

// With a late index, a check of many who live costs as many operations as one of few.
func TestTheLivingAreCheaperWithALateIndex(t *testing.T) {
	w := newWard(defaults)
	w.fewer = 10
	m := w.hire("m", time.Second)
	for i := range 1200 {
		w.at(0, w.admit(fmt.Sprint("p", i)).join)
	}
	w.until(2 * time.Minute)
	w.ops = 0
	w.until(130 * time.Second)
	if w.ops != 14 || len(m.reports) > 0 || w.wrong != "" { // the generation, the registry, the count, the late ones, and ten in turn
		t.Fatalf("%d operations; %s", w.ops, w.transcript())
	}
	for i, p := range w.patients[:40] {
		w.at(131*time.Second+time.Duration(i), p.die)
	}
	w.until(10 * time.Minute)
	if w.wantFine(t); w.count(mine) != 40 {
		t.Fatalf("%d deaths: %s", w.count(mine), w.transcript())
	}
}

// Who came and left is forgotten altogether, whether there is an index or not and whether it is of use or not: also those
// who were handled before they were looked at, whom the index never knew.
func TestWhoCameAndLeftIsForgotten(t *testing.T) {
	for _, fewer := range []int{0, 10, 1000} {
		w := newWard(defaults)
		w.fewer = fewer
		m := w.hire("m", time.Second)
		for i := range 20 {
			w.at(0, w.admit(fmt.Sprint("stays", i)).join)
		}
		for i := range 300 {
			p := w.admit(fmt.Sprint("p", i))
			p.coarse = i%2 == 0
			at := time.Duration(i) * time.Second
			w.at(at, p.join)
			w.at(at+time.Duration(i%7+1)*5*time.Second, p.leave)
			if i%3 == 0 {
				w.at(at+time.Duration(i%7+1)*5*time.Second, func() { _ = w.mem.SetEX(ctx, space.Handled(p.id, 1), []byte("1"), time.Hour) })
			}
		}
		w.until(10 * time.Minute)
		if n := m.watch.Remembered(); n > 60 || len(m.watch.Members()) != 20 || w.wrong != "" {
			t.Errorf("%d members, and thinks of %d: %s", len(m.watch.Members()), n, w.wrong)
		}
	}
}

// An index that is lost counts from one again: also who never touches the new one is found in time.
func TestALateIndexThatIsLost(t *testing.T) {
	for _, coarse := range []bool{false, true} {
		w := newWard(defaults)
		w.fewer = -1
		w.hire("m", time.Second)
		for i := range 5 {
			w.at(0, w.admit(fmt.Sprint("p", i)).join)
		}
		w.at(time.Minute+time.Second/2, func() {
			w.patients[0].coarse = coarse
			_ = w.mem.Touch(ctx, space.Late(), 1)
		})
		w.at(2*time.Minute, w.patients[0].die)
		w.until(10 * time.Minute)
		if w.wantFine(t); w.count(mine) != 1 {
			t.Fatal(w.transcript())
		}
	}
}
