package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
)

// staffed is a calm ward with three monitors, a third of a check apart.
func staffed(p detect.Policy) *ward {
	w := newWard(p)
	for i := range 3 {
		w.hire(fmt.Sprint("m", i+1), time.Duration(i)*p.Check/3)
	}
	return w
}

func (w *ward) wantFine(t *testing.T) {
	t.Helper()
	if w.complete(); w.wrong != "" {
		t.Fatal(w.transcript())
	}
}

// count returns how many findings of all monitors satisfy is.
func (w *ward) count(is func(detect.Finding) bool) (n int) {
	for _, m := range w.monitors {
		for _, f := range m.reports {
			if is(f) {
				n++
			}
		}
	}
	return n
}

func of[T detect.Finding](f detect.Finding) bool { _, ok := f.(T); return ok }

func mine(f detect.Finding) bool { d, ok := f.(detect.Dead); return ok && d.Mine }

// acceptance: one coordinator killed.
func TestOneCoordinatorKilled(t *testing.T) {
	w := staffed(defaults)
	p := w.admit("coord-crash")
	w.at(0, p.join)
	w.at(61*time.Second, p.die)
	w.until(10 * time.Minute)
	w.wantFine(t)
	if w.count(mine) != 1 || len(w.facts) != 3 {
		t.Fatalf("%d deaths, %d warnings\n%s", w.count(mine), len(w.facts), w.transcript())
	}
}

// acceptance: 10 coordinators, one killed every 30 s for 10 min; 12, three a minute. A new one replaces each.
func TestOneAfterTheOtherIsKilled(t *testing.T) {
	for _, tt := range []struct {
		alive int
		every time.Duration
	}{{10, 30 * time.Second}, {12, 20 * time.Second}} {
		t.Run(fmt.Sprint(tt.alive, " every ", tt.every), func(t *testing.T) {
			w := staffed(defaults)
			var all []*patient
			admit := func(at time.Duration) {
				p := w.admit(fmt.Sprint("c", len(all)))
				all = append(all, p)
				w.at(at, p.join)
			}
			for i := range tt.alive {
				admit(time.Duration(i) * 700 * time.Millisecond)
			}
			killed := int(10 * time.Minute / tt.every)
			for i := range killed {
				at := time.Minute + time.Duration(i)*tt.every
				w.at(at, all[i].die)
				admit(at + time.Second)
			}
			w.until(20 * time.Minute)
			w.wantFine(t)
			if w.count(mine) != killed || len(w.deaths) != killed {
				t.Fatalf("%d of %d deaths were found\n%s", w.count(mine), killed, w.transcript())
			}
		})
	}
}

// acceptance: a heartbeat 119 s old, 121 s old, by observed silence.
func TestSilenceOf119And121Seconds(t *testing.T) {
	second := defaults
	second.Check = time.Second
	for _, tt := range []struct {
		gap      time.Duration
		warnings int
	}{{119 * time.Second, 0}, {121 * time.Second, 1}} {
		w := newWard(second)
		m := w.hire("m", 0)
		p := w.admit("p")
		p.skew = 5 * time.Hour
		w.at(0, p.join)
		w.at(time.Minute+1, func() { p.isolate(tt.gap - 5*time.Second) })
		w.until(time.Minute)
		p.stop() // the last beat was at one minute; the next one comes after the gap
		w.clock.AfterFunc(tt.gap, p.beat)
		w.until(5 * time.Minute)
		w.wantFine(t)
		if w.count(of[detect.Warned]) != tt.warnings || w.count(of[detect.Recovered]) != tt.warnings {
			t.Fatalf("a gap of %v: %+v\n%s", tt.gap, m.reports, w.transcript())
		}
	}
}

// Self-doubt: a monitor that was stopped, cut off, or that has just come, accuses nobody; nor does an outage of any length.
func TestSelfDoubt(t *testing.T) {
	for name, event := range map[string]func(*ward){
		"stopped for an hour":          func(w *ward) { w.monitors[0].stall(time.Hour) },
		"cut off for an hour":          func(w *ward) { w.monitors[0].isolate(time.Hour) },
		"just come":                    func(w *ward) { w.monitors[0].restart() },
		"an outage of an hour":         func(w *ward) { w.outage(time.Hour, false) },
		"a restart that loses beats":   func(w *ward) { w.outage(30*time.Second, true) },
		"an hour, and the beats lost":  func(w *ward) { w.outage(time.Hour, true) },
		"an outage of one check":       func(w *ward) { w.outage(10*time.Second, false) },
		"come during an outage":        func(w *ward) { w.outage(time.Hour, true); w.monitors[0].restart() },
		"stopped and cut off in turns": func(w *ward) { w.monitors[0].stall(5 * time.Minute); w.monitors[0].isolate(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			step := time.Second
			if !thorough {
				step = 7 * time.Second
			}
			for phase := time.Duration(0); phase < 10*time.Second; phase += step {
				w := staffed(defaults)
				for i := range 5 {
					w.at(time.Duration(i)*time.Second, w.admit(fmt.Sprint("p", i)).join)
				}
				w.at(2*time.Minute+phase, func() { event(w) })
				w.until(2 * time.Hour)
				w.wantFine(t)
				if len(w.facts) > 0 || w.count(mine) > 0 {
					t.Fatal(w.transcript())
				}
			}
		})
	}
}

// A monitor that begins again in the midst of an escalation: the death is found no later than as if it had just been seen
// to begin, and warned of under a name of its own where the last beat is gone.
func TestMonitorStartsAgain(t *testing.T) {
	for again := 10 * time.Second; again < 250*time.Second; again += 10 * time.Second {
		w := newWard(defaults)
		w.calm = false
		m := w.hire("m", 0)
		p := w.admit("p")
		w.at(0, p.join)
		w.at(time.Minute+1, p.die)
		w.at(time.Minute+again+1, m.restart)
		_, high := detect.Scheduled(defaults, 0)
		w.until(time.Minute + again + high + 1)
		w.wantFine(t)
		if w.count(mine) != 1 {
			t.Fatal(w.transcript())
		}
	}
}

// D5: neither old beats written again, nor forged ones, nor new ones after the decision are life.
func TestD5TheResurrected(t *testing.T) {
	w := staffed(defaults)
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute, p.die)
	for i := range 60 {
		w.at(time.Minute+time.Duration(5*i+12)*time.Second, func() {
			if i%2 == 0 {
				p.put(p.old[i%len(p.old)])
			} else {
				p.seq++
				p.put(p.sealed(alien))
			}
		})
	}
	w.at(7*time.Minute, func() { p.zombie, p.alive = true, true; p.register(); p.beat() })
	w.until(20 * time.Minute)
	if w.count(mine) != 1 || w.count(of[detect.Recovered]) > 0 || len(w.facts) != 3 || w.wrong != "" {
		t.Fatal(w.transcript())
	}
	for _, m := range w.monitors {
		if all := m.watch.Members(); len(all) != 0 {
			t.Errorf("%s lists %+v", m.name, all)
		}
	}
}

// Between the decision and the hand-over nobody listens to the zombie, also a monitor that comes later.
func TestZombieBeforeItIsHandled(t *testing.T) {
	w := staffed(defaults)
	for _, m := range w.monitors {
		m.lazy = true
	}
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute, func() { p.isolate(5 * time.Minute) })
	p.zombie = true
	w.at(8*time.Minute, w.monitors[2].restart)
	w.until(10 * time.Minute)
	if w.count(mine) != 1 || w.count(of[detect.Recovered]) > 0 || !p.alive {
		t.Fatal(w.transcript())
	}
	for _, m := range w.monitors {
		if all := m.watch.Members(); len(all) != 1 || all[0].Health != detect.Over {
			t.Errorf("%s lists %+v", m.name, all)
		}
	}
}

// Who leaves is not warned, and reported until everything is handed over.
func TestLeave(t *testing.T) {
	w := staffed(defaults)
	w.monitors[0].lazy, w.monitors[1].lazy, w.monitors[2].lazy = true, true, true
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute+1, p.leave)
	w.until(2 * time.Minute)
	want := detect.Gone{ID: "p", Incarnation: 1, Reason: "left"}
	if w.count(func(f detect.Finding) bool { return f == want }) != 18 || len(w.facts) > 0 {
		t.Fatal(w.transcript())
	}
	w.monitors[0].lazy = false
	w.until(10 * time.Minute)
	w.wantFine(t)
	if n := len(w.monitors[1].reports); n > 7 {
		t.Fatalf("reported %d times\n%s", n, w.transcript())
	}
}

// Incarnation 2 does not hide incarnation 1.
func TestSuperseded(t *testing.T) {
	w := staffed(defaults)
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute, p.join)
	w.at(2*time.Minute, p.join)
	w.until(3 * time.Minute)
	w.wantFine(t)
	if len(w.facts) > 0 || w.count(of[detect.Superseded]) != 2 {
		t.Fatal(w.transcript())
	}
	if all := w.monitors[0].watch.Members(); len(all) != 1 || all[0].Incarnation != 3 || all[0].Health != detect.Healthy {
		t.Fatalf("%+v", all)
	}
}

// A new beat voids two warnings; the next silence begins with the first.
func TestRecovered(t *testing.T) {
	w := staffed(defaults)
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute+1, func() { p.isolate(200 * time.Second) })
	w.at(5*time.Minute, p.die)
	w.until(12 * time.Minute)
	w.wantFine(t)
	want := detect.Recovered{ID: "p", Incarnation: 1, Warnings: 2}
	if w.count(func(f detect.Finding) bool { return f == want }) != 3 || w.count(mine) != 1 || len(w.facts) != 5 {
		t.Fatal(w.transcript())
	}
}

func TestHealth(t *testing.T) {
	w := newWard(defaults)
	m := w.hire("m", 0)
	m.lazy = true
	p, q := w.admit("p"), w.admit("q")
	w.at(1, p.join)
	w.at(2, q.join)
	w.at(time.Minute+3, p.die)
	var seen []string
	for at := time.Minute; at <= 5*time.Minute; at += 70 * time.Second {
		w.until(at + 4)
		for _, x := range m.watch.Members() {
			seen = append(seen, fmt.Sprint(x.ID, " ", x.Health, " ", x.Silent, " ", x.Warnings))
		}
	}
	want := []string{
		"p healthy 0s 0", "q healthy 0s 0", "p healthy 1m0s 0", "q healthy 0s 0",
		"p stale 2m10s 1", "q healthy 0s 0", "p stale 3m20s 2", "q healthy 0s 0",
	}
	if !slices.Equal(seen, want) {
		t.Fatalf("%q", seen)
	}
}
