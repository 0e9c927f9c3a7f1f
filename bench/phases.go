package main

import (
	"context"
	"runtime"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// opened collects contenders, and closes them all.
type opened struct {
	all []*contender
	err error
}

// add keeps the first error; what failed is nil.
func (o *opened) add(c *contender, err error) *contender {
	if err != nil && o.err == nil {
		o.err = err
	}
	if err == nil {
		o.all = append(o.all, c)
	}
	return c
}

func (o *opened) close() {
	for _, c := range o.all {
		c.close()
	}
}

// onePair is one signal at a time, beside everything that does the same or less.
func (r *run) onePair() error {
	var o opened
	defer o.close()
	raw := o.add(r.server.raw())
	bare := o.add(r.server.bare(1, false))
	o.add(r.server.bare(1, true))
	lists, streams := o.add(r.server.lists(), nil), o.add(r.server.streams(false), nil)
	groups := o.add(r.server.streams(true), nil)
	wait := o.add(r.ours(job{name: "coord, Send to Wait", pairs: 1}))
	o.add(r.ours(job{name: "coord, Send to Wait, two processes", pairs: 1, two: true}))
	o.add(r.ours(job{name: "coord, Send to Serve and its result", pairs: 1, serve: true}))
	o.add(r.ours(job{name: "coord, Send to Wait, without Batch and Append", pairs: 1, around: stepwise}))
	if o.err != nil {
		return o.err
	}
	if err := r.compare(o.all...); err != nil {
		return err
	}
	r.report.atMost("signal to ACK, 1 pair, p50 against bare publish/subscribe", wait.ratio(bare, p50), 1.6, 1.3)
	r.report.atMost("signal to ACK, 1 pair, p99 against bare publish/subscribe", wait.ratio(bare, p99), 2, 1.5)
	r.report.below("signal to ACK, 1 pair, p50 against Redis streams with acknowledgement (the same job)", wait.ratio(groups, p50), 1, 0.75)
	r.report.tell("signal to ACK, 1 pair, p50 against Redis streams without acknowledgement", wait.ratio(streams, p50), "×")
	r.report.tell("signal to ACK, 1 pair, p50 against Redis lists", wait.ratio(lists, p50), "×")
	r.report.tell("bare publish/subscribe, p50 against raw RESP", bare.ratio(raw, p50), "×")
	r.report.tell("signal to ACK on Redis, 1 pair, allocations", wait.median().allocs, "")
	return nil
}

// manyPairs has n pairs busy at the same time.
func (r *run) manyPairs(n int) error {
	var o opened
	defer o.close()
	bare := o.add(r.server.bare(n, false))
	wait := o.add(r.ours(job{name: "coord, Send to Wait", pairs: n}))
	two := o.add(r.ours(job{name: "coord, Send to Wait, two processes", pairs: n, two: true}))
	if o.err != nil {
		return o.err
	}
	if err := r.compare(o.all...); err != nil {
		return err
	}
	if n == 64 {
		r.report.atLeast("64 pairs, signals/s against bare publish/subscribe", wait.ratio(bare, rate), 1, 2)
		r.report.tell("64 pairs in two processes, signals/s against bare publish/subscribe", two.ratio(bare, rate), "×")
		r.report.tell("64 pairs, signals/s", wait.median().perSecond, "/s")
	}
	return nil
}

// inMemory has no server: what is left is ours.
func (r *run) inMemory() error {
	st := memstore.New()
	there, err := coord.Open(st, coord.Config{Secret: secret})
	if err != nil {
		return err
	}
	defer func() { _ = there.Close() }()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var o opened
	for _, serve := range []bool{false, true} {
		name := map[bool]string{false: "coord in memory, Send to Wait", true: "coord in memory, Send to Serve"}[serve]
		s, err := pairUp(ctx, there, there, map[bool]string{false: "w", true: "s"}[serve], 1, serve)
		if err != nil {
			return err
		}
		o.add(&contender{name: name, pairs: 1, ping: s.send}, nil)
	}
	if err := r.compare(o.all...); err != nil {
		return err
	}
	m := o.all[0].median()
	r.report.atMost("memory, signal to ACK, p50, µs", micros(m.p50), 10, 2)
	r.report.atMost("memory, signal to ACK, allocations", m.allocs, 40, 15)
	return nil
}

// trips counts what one signal at a time sends to the store.
func (r *run) trips() error {
	counts := &counter{}
	c, err := r.ours(job{name: "counted", pairs: 1, around: counts.around})
	if err != nil {
		return err
	}
	defer c.close()
	const signals = 2048 // among which there are two flushes
	counts.reset()
	for range signals {
		if err := c.ping(r.ctx, 0); err != nil {
			return err
		}
	}
	appends, acks, others := counts.perSignal(signals)
	r.report.atMost("trips on the critical path: signal", appends, 1, 1)
	r.report.atMost("trips on the critical path: ACK", acks, 1, 1)
	r.report.tell("trips off the critical path, for each signal", others, "")
	return nil
}

// idleWaits counts what blocked waits cost while nothing happens.
func (r *run) idleWaits() error {
	const waits = 500
	counts := &counter{}
	p, err := open(r.server.url(), coord.Config{}, counts.around)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	if err := receive(ctx, p.client, "idle", waits, false); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // the first reads are over
	counts.reset()
	before, began := settledMemory(), time.Now()
	time.Sleep(3 * time.Second)
	r.report.atMost("idle waits: batches each second in a process with 500 of them", counts.sharedPerSecond(), 1.05, 1.05)
	r.report.tell("idle waits: operations outside a batch each second", float64(counts.single.Load())/time.Since(began).Seconds(), "/s")
	cancel()
	p.close()
	after := settledMemory()
	r.report.tell("memory of a coordinator with a blocked wait, without its caller's goroutine", (before.heap-after.heap)/waits, "B")
	r.report.tell("stack of the goroutine that is blocked in it", (before.stack-after.stack)/waits, "B")
	return nil
}

// hintsLost measures what a poll has to find.
func (r *run) hintsLost() error {
	const poll = 100 * time.Millisecond
	c, err := r.ours(job{name: "coord, every hint lost", pairs: 1, config: coord.Config{Poll: poll}, around: deaf})
	if err != nil {
		return err
	}
	defer c.close()
	var worst time.Duration
	for range 15 {
		began := time.Now()
		if err := c.ping(r.ctx, 0); err != nil {
			return err
		}
		worst = max(worst, time.Since(began))
	}
	// A signal and its ACK are found by one poll each.
	r.report.atMost("every hint lost: the longest of 15 signals with ACK, in poll periods for each way", float64(worst)/float64(2*poll), 1.1, 1.1)
	return nil
}

// memory is what is in use, in bytes.
type memory struct{ heap, stack float64 }

func (m memory) sum() float64 { return m.heap + m.stack }

func settledMemory() memory {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{float64(m.HeapAlloc), float64(m.StackInuse)}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
