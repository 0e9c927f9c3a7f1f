package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
)

// fleets measures what many coordinators cost, and what they cost the signals of others.
func (r *run) fleets() error {
	for _, n := range r.fleet {
		r.progress(fmt.Sprintf("a fleet of %d", n))
		if err := r.watchFleet(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) watchFleet(n int) error {
	p, err := open(r.server.url(), coord.Config{Namespace: fmt.Sprint("fleet", n)}, nil)
	if err != nil {
		return err
	}
	if n < r.fleet[len(r.fleet)-1] {
		defer p.close() // the last one ends with the program: it would take as many decisions to leave
	}
	if err := joinAll(r.ctx, p.client, "first", 64); err != nil { // what a process has once is there by now
		return err
	}
	before, goroutines := settledMemory().sum(), runtime.NumGoroutine()
	if err := joinAll(r.ctx, p.client, "member", n); err != nil {
		return err
	}
	each := (settledMemory().sum() - before) / float64(n)
	more := float64(runtime.NumGoroutine()-goroutines) / float64(n)
	r.judgeFleet(n, r.load(), each, more)
	return r.besideFleet(n)
}

// judgeFleet knows the bars, which are for 10,000.
func (r *run) judgeFleet(n int, load, each, goroutines float64) {
	what := fmt.Sprintf("%d coordinators in one process, ", n)
	if n < 10_000 {
		r.report.tell(what+"% of a Redis core", 100*load, "%")
		r.report.tell(what+"bytes each", each, "B")
		return
	}
	r.report.atMost(what+"beating every 5 s, % of a Redis core", 100*load, 2, 2)
	r.report.atMost(what+"KiB each while idle", each/1024, 8, 8)
	r.report.atMost(what+"goroutines each while idle", goroutines, 0.01, 0.01)
}

func joinAll(ctx context.Context, c *coord.Client, name string, n int) error {
	var group sync.WaitGroup
	errs := make([]error, 64)
	for w := range errs {
		group.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				errs[w] = join(ctx, c, fmt.Sprint(name, "-", i))
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// join tries a few times: a machine that is busy with something else may leave an operation without an answer.
func join(ctx context.Context, c *coord.Client, id string) (err error) {
	for range 3 {
		if _, err = c.Join(ctx, id); err == nil {
			return nil
		}
	}
	return err
}

// load is the server's share of a core while the fleet does nothing but beat: the median of windows of one beat each,
// in a full run after one in which the server does what joining has left it to do. NaN where the run's time is over.
func (r *run) load() float64 {
	if !r.quick {
		r.loadFor(coord.DefaultPolicy().Beat)
	}
	all := make([]float64, r.windows)
	for i := range all {
		all[i] = r.loadFor(coord.DefaultPolicy().Beat)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (r *run) loadFor(d time.Duration) float64 {
	used, began := r.server.cpu(), time.Now()
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
		return math.NaN()
	}
	return (r.server.cpu() - used) / time.Since(began).Seconds()
}

// besideFleet compares one pair with bare publish and subscribe while the fleet beats.
func (r *run) besideFleet(n int) error {
	var o opened
	defer o.close()
	bare := o.add(r.server.bare(1, false))
	bare.name += fmt.Sprintf(", beside %d coordinators", n)
	wait := o.add(r.ours(job{name: fmt.Sprintf("coord, Send to Wait, beside %d coordinators", n), pairs: 1}))
	if o.err != nil {
		return o.err
	}
	if err := r.compare(o.all...); err != nil {
		return err
	}
	r.report.tell(fmt.Sprintf("signal to ACK beside %d coordinators, p50 against bare publish/subscribe", n), wait.ratio(bare, p50), "×")
	r.report.tell(fmt.Sprintf("signal to ACK beside %d coordinators, p50, µs", n), micros(wait.median().p50), "µs")
	return nil
}
