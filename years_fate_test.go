package coord_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/blocking-coordination/coord"
)

func (y *years) fault() {
	f := fault{
		kind:  []string{"refused", "lost", "ghost"}[y.random.IntN(3)],
		after: y.random.IntN(40),
		later: y.draw(0, time.Second) << y.random.IntN(8),
	}
	if r := y.anyProcess().running(); r != nil {
		r.link.arm(f)
	}
}

// someTime is short, as a rule.
func (y *years) someTime() time.Duration {
	if y.random.IntN(5) == 0 {
		return y.draw(time.Minute, 12*time.Minute)
	}
	return y.draw(time.Second, time.Minute)
}

func (y *years) partition() {
	p, d, hangs := y.anyProcess(), y.someTime(), y.random.IntN(2) == 0
	r := p.running()
	if r == nil {
		return
	}
	y.sky.count(p.name, fmt.Sprint("is cut off for ", d))
	y.troubled(p.name, d)
	r.link.sever(true, hangs)
	time.AfterFunc(d, func() { r.link.sever(false, false) })
}

func (y *years) outage() {
	d := y.someTime()
	if y.sky.isDown() {
		return
	}
	y.sky.count("store", fmt.Sprint("is down for ", d))
	y.troubled("", d)
	y.sky.outage(true)
	y.goes(func() {
		time.Sleep(d)
		y.sky.outage(false)
		for _, p := range y.processes {
			if r := p.running(); r != nil {
				r.link.reconnected()
			}
		}
	})
}

// crash ends a process, more often a small one, and not a monitor.
func (y *years) crash() {
	n := y.random.IntN(15)
	if n < 5 && y.random.IntN(4) > 0 {
		n += 5
	}
	p, down := y.processes[n], y.draw(time.Second, 20*time.Minute)
	if p.crash() {
		y.goes(func() { time.Sleep(down); p.start(n) })
	}
}

func (y *years) leave() {
	r, a := y.anybody()
	away := y.draw(time.Second, 20*time.Minute)
	if a == nil {
		return
	}
	y.goes(func() {
		r.leave(a)
		time.Sleep(away)
		r.join(a.ID())
	})
}

func (y *years) signal() {
	r, a := y.anybody()
	to, within, payload := y.anyID(), y.draw(time.Second, 10*time.Minute), fmt.Sprint("signal-", y.number)
	y.number++
	if a == nil {
		return
	}
	y.sends(payload, a.ID(), to)
	y.goes(func() {
		_, err := a.Send(r.ctx, to, "state", []byte(payload), coord.Within(within))
		y.sent(payload, within, !r.link.alive(), err)
	})
}

func (y *years) round() {
	_, a := y.anybody()
	round := fmt.Sprint("round-", y.number)
	y.number++
	first := y.random.IntN(len(y.ids) - 3)
	if a != nil {
		y.goes(func() { y.gather(a, round, y.ids[first:first+3]) })
	}
}

// gather asks twice: what was answered the first time is what is answered the second time.
func (y *years) gather(a *coord.Coordinator, round string, to []string) {
	gather := coord.Gather[string]
	before, err := gather(y.ctx, a, round, round, coord.To(to...), coord.Within(5*time.Minute))
	if err != nil && !errors.Is(err, coord.ErrIncomplete) || before == nil {
		return // fenced, closed
	}
	after, err := gather(y.ctx, a, round, round, coord.To(to...), coord.Within(time.Minute))
	if after == nil || errors.Is(err, coord.ErrUnavailable) || errors.Is(err, coord.ErrClosed) || errors.Is(err, coord.ErrFenced) {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sums.rounds++
	for id, answer := range before.Answers() {
		if again, ok := after.Answer(id); !ok || again != answer || !strings.HasPrefix(answer, round+" by "+id+"/") {
			y.violated(append([]string{a.ID()}, to...), "%s: %s answered %q, and then %q (%v)", round, id, answer, again, err)
		}
	}
}

func (y *years) unit() {
	r, a := y.anybody()
	id, whose := fmt.Sprint("unit-", y.number), y.random.IntN(3)
	y.number++
	switch {
	case a == nil:
	case whose == 0: // whoever is free
		y.goes(func() { r.add(id) })
	default:
		y.goes(func() { r.accept(a, id) })
	}
}
