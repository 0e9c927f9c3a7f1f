package coord_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
	"pgregory.net/rapid"
)

// life is one process of somebody: the cable that connects it can be cut, which is how it is killed.
type life struct {
	cable *unsteady
	c     *coord.Client
	a     *coord.Coordinator
}

// drama is a round whose asker and members are killed and come back as drawn.
type drama struct {
	st      *memstore.Store
	v       validators
	verdict map[string]string
	lives   map[string]*life
	settled map[string]coord.Member // replies that any Gather has returned
	answers map[string]review
	monitor *coord.Client
	unwatch context.CancelFunc
}

func (d *drama) start(t *rapid.T, id string) *life {
	cable := newUnsteady()
	cable.inner.Store(d.st)
	cfg := fast
	cfg.Secret = secret
	c := must(coord.Open(cable, cfg))
	l := &life{cable, c, must(c.Join(context.Background(), id))}
	if id != "po" {
		d.v.serve(t, l.a, d.verdict[id])
	}
	d.lives[id] = l
	return l
}

// watch has a monitor decide who is dead.
func (d *drama) watch() {
	cfg := fast
	cfg.Secret = secret
	d.monitor = must(coord.Open(d.st, cfg))
	ctx, cancel := context.WithCancel(context.Background())
	d.unwatch = cancel
	go func() { _ = d.monitor.Monitor().Run(ctx) }()
}

func (d *drama) end() {
	d.unwatch()
	_ = d.monitor.Close()
	for _, l := range d.lives {
		_ = l.c.Close()
	}
}

// kill: nothing that it does reaches the store from now on.
func (d *drama) kill(id string) {
	if l := d.lives[id]; l != nil {
		l.cable.down.Store(true)
		_ = l.c.Close()
		delete(d.lives, id)
	}
}

// gather asks, perhaps not for long, and checks what any Gather must return.
func (d *drama) gather(t *rapid.T, members []string, within time.Duration) error {
	po := d.lives["po"]
	if po == nil {
		po = d.start(t, "po")
	}
	r, err := gather(t, po.a, "r-1", coord.To(members...), coord.Within(within))
	if r == nil {
		t.Fatalf("%v", err)
	}
	if !errors.Is(err, coord.ErrUnavailable) { // who is cut off knows nothing
		d.check(t, r, len(members))
	}
	return err
}

func (d *drama) check(t *rapid.T, r *coord.Round[review], n int) {
	if len(r.Members()) != n {
		t.Fatalf("%d members", len(r.Members()))
	}
	for _, m := range r.Members() {
		answer, _ := r.Answer(m.ID)
		before, known := d.settled[m.ID]
		if known && (before != m || d.answers[m.ID] != answer) {
			t.Fatalf("what is settled changed: %+v %+v, then %+v %+v", before, d.answers[m.ID], m, answer)
		}
		if m.State == answered || m.State == rejected {
			d.settled[m.ID], d.answers[m.ID] = m, answer
		}
		if m.State == rejected && d.verdict[m.ID] != "no" || m.State == answered && answer.Verdict != "yes task-1" {
			t.Fatalf("%+v: %+v", m, answer)
		}
	}
}

// No answer is lost or counted twice, settled members do not change, nobody is asked twice in one incarnation, nor after
// somebody has seen the answer.
func TestRoundsSurviveRestarts(t *testing.T) {
	members := []string{"v1", "v2", "v3"}
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			d := &drama{
				st: memstore.New(), verdict: map[string]string{}, lives: map[string]*life{},
				settled: map[string]coord.Member{}, answers: map[string]review{},
			}
			defer d.end()
			d.watch()
			for _, id := range members {
				d.verdict[id] = rapid.SampledFrom([]string{"yes", "yes", "no"}).Draw(t, id)
			}
			askedBySettled := map[string]int{}
			pause := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 15 * time.Second})
			anybody := rapid.SampledFrom(append([]string{"po"}, members...))
			t.Repeat(map[string]func(*rapid.T){
				"start": func(t *rapid.T) {
					if id := anybody.Draw(t, "id"); d.lives[id] == nil {
						d.start(t, id)
					}
				},
				"kill":   func(t *rapid.T) { d.kill(anybody.Draw(t, "id")) },
				"pause":  func(t *rapid.T) { time.Sleep(pause.Draw(t, "pause")) },
				"gather": func(t *rapid.T) { _ = d.gather(t, members, pause.Draw(t, "within")) },
				"killed while gathering": func(t *rapid.T) {
					id := anybody.Draw(t, "id")
					l := d.lives[id]
					if l == nil {
						return
					}
					cut := time.AfterFunc(pause.Draw(t, "after"), func() { l.cable.down.Store(true) })
					_ = d.gather(t, members, pause.Draw(t, "within"))
					cut.Stop()
					d.kill(id)
				},
				"": func(t *rapid.T) {
					for who, n := range d.v.all() {
						if n != 1 {
							t.Fatalf("%s was asked %d times", who, n)
						}
					}
					for id := range d.settled {
						n := d.calls(id)
						if before, ok := askedBySettled[id]; ok && before != n {
							t.Fatalf("%s was asked again after its answer had been seen", id)
						}
						askedBySettled[id] = n
					}
				},
			})
			for _, id := range members {
				if d.lives[id] == nil {
					d.start(t, id)
				}
			}
			if err := d.gather(t, members, time.Hour); err != nil && (!errors.Is(err, coord.ErrIncomplete) || errors.Is(err, coord.ErrTimeout)) {
				t.Fatalf("%v", err)
			}
			for _, id := range members {
				if _, ok := d.settled[id]; !ok {
					t.Fatalf("%s never replied", id)
				}
			}
		})
	})
}

// calls counts the calls of id's handler in all of its incarnations.
func (d *drama) calls(id string) (n int) {
	for who, times := range d.v.all() {
		var round, whom string
		_, _ = fmt.Sscan(who, &round, &whom)
		if len(whom) > len(id) && whom[:len(id)] == id {
			n += times
		}
	}
	return n
}
