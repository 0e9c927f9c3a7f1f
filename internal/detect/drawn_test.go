package detect_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/sim"
)

// dice choose evenly, by seed.
func dice(seed uint64) sim.Chooser { return rolled{rand.New(rand.NewPCG(seed, 1))} }

type rolled struct{ r *rand.Rand }

func (r rolled) Choose(_ string, n int) int { return r.r.IntN(n) }

// draw chooses what happens in a ward.
type draw struct {
	sim.Chooser
	alone bool // monitors decide without agreement
	index bool // there is a late index
	loss  bool // the store may lose all its data
}

// span is a duration from low to high, in steps of a hundredth of the difference.
func (d draw) span(what string, low, high time.Duration) time.Duration {
	return low + time.Duration(d.Choose(what, 101))*(high-low)/100
}

func (d draw) oneIn(what string, n int) bool { return d.Choose(what, n) == n-1 }

// policy draws one that package coord would accept.
func (d draw) policy() detect.Policy {
	var p detect.Policy
	p.Beat = time.Duration(1+d.Choose("beat", 8)) * time.Second
	p.Check = time.Duration(1+d.Choose("check", 12)) * time.Second
	p.TTL = max(2*p.Beat, p.Check*3/2) + d.span("ttl", 0, 30*time.Second)
	if d.index && !d.oneIn("odd", 3) {
		p.TTL = (p.TTL/p.Check + 3) * p.Check
	}
	p.Stale = max(p.TTL, p.Beat+2*p.Check)
	if !d.oneIn("tight", 3) {
		p.Stale += d.span("stale", 0, 40*time.Second)
	}
	p.Warnings = 1 + (d.Choose("warnings", 4)+2)%4
	p.Spacing = d.span("spacing", time.Second, 30*time.Second)
	p.Window = time.Duration(p.Warnings)*(p.Spacing+2*p.Check) + d.span("window", 0, time.Minute)
	return p
}

// calm is a ward in which nothing happens to monitors and store: 1 to 4 monitors, and deaths.
func (d draw) calm(check procedure) *ward {
	w := newWard(d.policy())
	w.check, w.alone = check, d.alone
	d.lateness(w)
	d.indexed(w)
	for i := range 1 + d.Choose("monitors", 4) {
		m := w.hire(fmt.Sprint("m", i+1), d.span("phase", 0, w.policy.Check))
		m.lazy = d.oneIn("lazy", 2)
	}
	_, high := detect.Scheduled(w.policy, w.jitter)
	for i := range 1 + d.Choose("patients", 4) {
		p := w.admit(fmt.Sprint("p", i+1))
		p.skew = time.Duration(d.Choose("skew", 11)-5) * time.Hour
		p.coarse = d.index && d.oneIn("coarse", 4)
		w.at(d.span("join", 0, time.Minute), p.join)
		if !d.oneIn("immortal", 3) {
			w.at(time.Minute+d.span("death", 0, time.Minute), p.die)
		}
	}
	w.until(2*time.Minute + high + 1)
	w.complete()
	return w
}

// indexed gives the ward a late index, in which not everybody is.
func (d draw) indexed(w *ward) {
	if d.index {
		w.fewer = 1 - 2*d.Choose("in turn", 2)
	}
}

func (d draw) lateness(w *ward) {
	if d.oneIn("jitter", 2) {
		w.jitter = min(w.policy.Beat, w.policy.Check) / 2
		w.late = func() time.Duration { return d.span("late", 0, w.jitter) }
	}
}

// stormy is a ward in which everything happens.
func (d draw) stormy(check procedure, skewed bool) *ward {
	w := newWard(d.policy())
	w.check, w.alone, w.calm = check, d.alone, false
	d.lateness(w)
	if d.index {
		w.fewer = 1 // or lies are believed for ever
	}
	for i := range 1 + d.Choose("monitors", 4) {
		m := w.hire(fmt.Sprint("m", i+1), d.span("phase", 0, w.policy.Check))
		m.lazy = d.oneIn("lazy", 4)
		if skewed {
			m.skew = time.Duration(5-3*i) * time.Hour
		}
	}
	for i := range 1 + d.Choose("patients", 3) {
		p := w.admit(fmt.Sprint("p", i+1))
		if skewed {
			p.skew = time.Duration(7*i-9) * time.Hour
		}
		if d.oneIn("slow", 3) {
			p.slow = d.span("slowness", 0, w.policy.Stale)
		}
		w.at(d.span("join", 0, 30*time.Second), p.join)
	}
	_, high := detect.Scheduled(w.policy, w.jitter)
	for range d.Choose("events", 10) {
		w.at(d.span("when", 0, 3*high), func() { d.disturb(w) })
	}
	w.until(3 * high)
	w.heal()
	w.until(7*high + 3*time.Minute)
	w.complete()
	return w
}

// heal lets everybody see the store again, in case an event was not over yet.
func (w *ward) heal() {
	for _, m := range w.monitors {
		m.away, m.cut = false, false
	}
	for _, p := range w.patients {
		p.cut = false
	}
}

// disturb is one event.
func (d draw) disturb(w *ward) {
	p := w.patients[d.Choose("who", len(w.patients))]
	m := w.monitors[d.Choose("which", len(w.monitors))]
	lasts := d.length(w.policy)
	if d.loss && d.oneIn("a loss", 4) {
		d.lose(w, p, lasts)
		return
	}
	events := 12
	if d.index {
		events = 15
	}
	switch d.Choose("event", events) {
	case 0:
		p.die()
		w.clock.AfterFunc(lasts, m.restart)
	case 1:
		p.leave()
	case 2:
		p.die()
		w.clock.AfterFunc(lasts, p.join)
	case 3:
		w.clock.AfterFunc(lasts, p.join)
	case 4:
		d.flap(w, p, 3)
	case 5:
		m.isolate(lasts)
	case 6:
		m.stall(lasts)
	case 7:
		m.restart()
	case 8:
		w.outage(lasts, d.oneIn("loss", 2))
	case 9:
		w.outage(lasts, true)
		w.clock.AfterFunc(lasts/2, m.restart)
	case 10:
		d.hostile(w, p)
	case 11:
		d.blink(w, p, m)
	case 12:
		w.note("the late index is lost")
		w.unindex()
	case 13:
		p.coarse = !p.coarse
		w.note("%s touches the late index no more: %v", p.id, p.coarse)
	case 14:
		w.note("%s is touched, whether it lives or not", p.id)
		w.lie(p)
	}
}

// lose lets the store lose its data; or when p is dead and nobody has handed over, and then p dies again.
func (d draw) lose(w *ward, p *patient, lasts time.Duration) {
	restarts := func() bool { return !d.oneIn("lives on", 3) }
	if d.oneIn("buried", 2) {
		w.lose(lasts, restarts)
		return
	}
	p.die()
	for _, m := range w.monitors {
		m.lazy = true
	}
	_, high := detect.Scheduled(w.policy, w.jitter)
	w.clock.AfterFunc(high, func() { w.lose(w.policy.Check, restarts) })
	w.clock.AfterFunc(high+w.policy.Check+w.policy.Stale, p.die)
}

// lie has the late index call p on time for ever.
func (w *ward) lie(p *patient) {
	if p.incarnation > 0 {
		p.index()
	}
	w.clock.AfterFunc(w.policy.Beat, func() { w.lie(p) })
}

// flap cuts p off a few times, with some beats between.
func (d draw) flap(w *ward, p *patient, times int) {
	if times == 0 {
		return
	}
	lasts := d.length(w.policy)
	if d.oneIn("warned", 2) {
		lasts = w.policy.Stale + d.span("longer", 0, time.Duration(w.policy.Warnings)*w.policy.Spacing)
	}
	p.isolate(lasts)
	w.clock.AfterFunc(lasts+d.span("pause", w.policy.Beat, 5*w.policy.Beat), func() { d.flap(w, p, times-1) })
}

// blink lets p return for a moment when m does not look.
func (d draw) blink(w *ward, p *patient, m *monitor) {
	back := w.policy.Stale - d.span("before", 0, w.policy.Stale/8)
	p.isolate(back)
	w.clock.AfterFunc(max(0, back-2*w.policy.Beat), func() {
		if d.oneIn("stopped", 2) {
			m.stall(2*w.policy.TTL + 4*w.policy.Beat)
		} else {
			m.isolate(2*w.policy.TTL + 4*w.policy.Beat)
		}
	})
	w.clock.AfterFunc(back+w.policy.TTL, func() { p.isolate(w.policy.Stale + w.policy.TTL) })
}

// hostile: somebody writes beats when p is dead.
func (d draw) hostile(w *ward, p *patient) {
	p.die()
	if d.oneIn("forged", 2) {
		d.forge(w, p)
	} else {
		d.replay(w, p)
	}
}

// length is about as long as one of the policy's own durations, or very long.
func (d draw) length(p detect.Policy) time.Duration {
	of := []time.Duration{p.Beat, p.Check, p.TTL, p.Stale, p.Stale + p.Spacing, p.Stale + 3*p.Spacing}
	return d.span("lasts", time.Second, 2*of[d.Choose("about", len(of))])
}

// replay writes old beats again, as a ghost or an attacker does.
func (d draw) replay(w *ward, p *patient) {
	if w.down || len(p.old) == 0 {
		return
	}
	i := d.Choose("beat", len(p.old))
	w.note("beat %d of %s is written again, and those after it, one at each Beat", i+1, p.id)
	d.again(w, p, i, len(p.old))
}

func (d draw) again(w *ward, p *patient, i, last int) {
	if i >= min(last, len(p.old)) || p.alive {
		return
	}
	if !w.down {
		p.overwrite(p.old[i])
	}
	w.clock.AfterFunc(w.policy.Beat, func() { d.again(w, p, i+1, last) })
}

// forge writes beats that rise, and that nobody with the key signed.
func (d draw) forge(w *ward, p *patient) {
	if w.down || p.alive || p.incarnation == 0 {
		return
	}
	w.note("beats of %s are forged", p.id)
	d.forgeOn(w, p, p.incarnation)
}

func (d draw) forgeOn(w *ward, p *patient, incarnation int64) {
	if p.alive || p.incarnation != incarnation {
		return
	}
	p.seq++
	if !w.down {
		p.overwrite(p.sealed(alien))
	}
	w.clock.AfterFunc(w.policy.Beat, func() { d.forgeOn(w, p, incarnation) })
}
