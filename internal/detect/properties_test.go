package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runs is n, or twenty times more with -coord.long, or far fewer under the race detector.
func runs(n int) int {
	switch {
	case *proof.Long:
		return 20 * n
	case !thorough:
		return n / 25
	}
	return n
}

// D1, D3, D4, and D2 for those who live: in calm, every death is found inside the bounds, once, and nobody else.
func TestD1Bounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if w := (draw{Chooser: sim.Drawn(t)}).calm((*detect.Watch).Check); w.wrong != "" {
			t.Fatal(w.transcript())
		}
	})
	found, ends := 0, [2]float64{1, 1}
	for seed := range uint64(runs(1000)) {
		w := (draw{Chooser: dice(seed)}).calm((*detect.Watch).Check)
		if w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.transcript())
		}
		found += w.found
		ends = [2]float64{min(ends[0], w.ends[0]), min(ends[1], w.ends[1])}
	}
	t.Logf("counted %d runs", runs(1000))
	t.Logf("counted %d deaths; the nearest to the bounds were %.3f and %.3f checks away", found, ends[0], ends[1])
	if ends[0] >= 1 || ends[1] >= 1 {
		t.Error("the bounds are not approached to within one check")
	}
}

// D2 to D5: deaths, leaves, rejoins, partitions, stalled, cut off and restarted monitors, outages with and without loss of
// the heartbeats, old beats written again and forged ones.
func TestEverythingAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if w := (draw{Chooser: sim.Drawn(t)}).stormy((*detect.Watch).Check, true); w.wrong != "" {
			t.Fatal(w.transcript())
		}
	})
	for seed := range uint64(runs(700)) {
		if w := (draw{Chooser: dice(seed)}).stormy((*detect.Watch).Check, true); w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.transcript())
		}
	}
	t.Logf("counted %d runs", runs(700))
}

// The same with a store that may lose all its data, where nearly everybody restarts with it and counts from 1 again: the
// living are neither accused nor taken for those of before, and who dies after it is found, also where nobody has handed
// over yet what an earlier one of that number left.
func TestTheStoreLosesItsData(t *testing.T) {
	for seed := range uint64(runs(700)) {
		d := draw{Chooser: dice(seed), index: seed%2 == 1, loss: true}
		if w := d.stormy((*detect.Watch).Check, true); w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.transcript())
		}
	}
	t.Logf("counted %d runs", runs(700))
}

// D7: the same run with all wall clocks hours apart has the same verdicts at the same times.
func TestD7NoVerdictDependsOnWallClocks(t *testing.T) {
	for seed := range uint64(runs(100)) {
		a := (draw{Chooser: dice(seed)}).stormy((*detect.Watch).Check, false)
		b := (draw{Chooser: dice(seed)}).stormy((*detect.Watch).Check, true)
		if !slices.Equal(a.trace, b.trace) {
			t.Fatalf("seed %d:\n%s\n\n%s", seed, a.transcript(), b.transcript())
		}
	}
	t.Logf("counted %d runs", 2*runs(100))
}

// The extremes of D1 for the default policy: both ends are approached to within one check.
func TestD1Extremes(t *testing.T) {
	for _, monitors := range []int{1, 2, 3, 4} {
		low, high := detect.Scheduled(defaults, 0)
		least, most := high, low
		for beat := time.Duration(0); beat < 10*time.Second; beat += 977 * time.Millisecond {
			for died := time.Duration(0); died < 10*time.Second; died += 491 * time.Millisecond {
				age := latency(t, monitors, beat, time.Minute+died)
				least, most = min(least, age), max(most, age)
			}
		}
		t.Logf("%d monitors: found after %v to %v; stated: more than %v, at most %v", monitors, least, most, low, high)
		if least-low >= defaults.Check || monitors == 1 && high-most >= defaults.Check {
			t.Errorf("the bounds are not approached to within one check")
		}
	}
}

// latency is how long it takes to find a death at died of a member that joined at beat.
func latency(t *testing.T, monitors int, joined, died time.Duration) time.Duration {
	w := newWard(defaults)
	for i := range monitors {
		w.hire(fmt.Sprint("m", i+1), time.Duration(i)*1300*time.Millisecond)
	}
	p := w.admit("p")
	w.at(joined, p.join)
	w.at(died, p.die)
	for w.until(died); len(w.deaths) == 0 && w.wrong == ""; {
		next, _ := w.clock.Next()
		w.clock.Advance(next.Sub(w.clock.Now()))
	}
	if w.wrong != "" {
		t.Fatal(w.transcript())
	}
	return w.now() - died
}

func TestBounds(t *testing.T) {
	fast := detect.Policy{
		Beat: 500 * time.Millisecond, TTL: 3 * time.Second, Stale: 4 * time.Second,
		Warnings: 3, Spacing: 2 * time.Second, Window: 30 * time.Second, Check: 500 * time.Millisecond,
	}
	odd := defaults
	odd.Check, odd.Warnings = 7*time.Second, 2
	for _, tt := range []struct {
		p                            detect.Policy
		jitter                       time.Duration
		low, high, realLow, realHigh time.Duration
	}{
		{defaults, 0, 235 * time.Second, 250 * time.Second, 235 * time.Second, 280 * time.Second},
		{defaults, time.Second, 234 * time.Second, 250 * time.Second, 235 * time.Second, 280 * time.Second},
		{fast, 0, 7500 * time.Millisecond, 8500 * time.Millisecond, 7500 * time.Millisecond, 10 * time.Second},
		{detect.Policy{}, 0, 0, 0, 0, 0},
		{odd, 0, 184 * time.Second, 196 * time.Second, 175 * time.Second, 210 * time.Second},
	} {
		if low, high := detect.Scheduled(tt.p, tt.jitter); low != tt.low || high != tt.high {
			t.Errorf("Scheduled(%+v, %v) = %v, %v", tt.p, tt.jitter, low, high)
		}
		if low, high := detect.Bounds(tt.p); low != tt.realLow || high != tt.realHigh {
			t.Errorf("Bounds(%+v) = %v, %v", tt.p, low, high)
		}
	}
}
