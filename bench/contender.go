package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// contender is one way to send something and know that it has arrived.
type contender struct {
	name  string
	pairs int
	ping  func(ctx context.Context, pair int) error // there and back
	close func()

	all    *hdrhistogram.Histogram // of all rounds, in nanoseconds
	rounds []figures
}

// figures are those of one round, or the medians of all.
type figures struct {
	p50, p99  time.Duration
	perSecond float64
	allocs    float64 // of the whole process, for each ping
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(100, int64(30*time.Second), 3) }

// compare lets contenders take turns, after a round that does not count. Each round begins with another one.
func (r *run) compare(all ...*contender) error {
	for _, c := range all {
		c.all = newHistogram()
		if _, err := c.round(r.ctx, r.slice/4+20*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		c.all.Reset()
	}
	for round := range r.rounds {
		for i := range all {
			c := all[(i+round)%len(all)]
			f, err := c.round(r.ctx, r.slice)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rounds = append(c.rounds, f)
		}
	}
	r.report.contenders = append(r.report.contenders, all...)
	return nil
}

// round has every pair ping for a while.
func (c *contender) round(ctx context.Context, d time.Duration) (f figures, err error) {
	var before, after runtime.MemStats
	h := newHistogram()
	runtime.GC() // so that no round pays for the one before
	runtime.ReadMemStats(&before)
	began := time.Now()
	if c.pairs == 1 {
		err = c.pingUntil(ctx, 0, began.Add(d), h.RecordValue)
	} else {
		err = c.pingAll(ctx, began.Add(d), h)
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	c.all.Merge(h)
	return figures{
		p50: quantile(h, 50), p99: quantile(h, 99),
		perSecond: float64(h.TotalCount()) / took.Seconds(),
		allocs:    float64(after.Mallocs-before.Mallocs) / float64(max(h.TotalCount(), 1)),
	}, err
}

func (c *contender) pingUntil(ctx context.Context, pair int, end time.Time, record func(int64) error) error {
	for began := time.Now(); began.Before(end); {
		if err := c.ping(ctx, pair); err != nil {
			return err
		}
		now := time.Now()
		_ = record(int64(now.Sub(began))) // what is longer than 30 s is an error elsewhere
		began = now
	}
	return nil
}

func (c *contender) pingAll(ctx context.Context, end time.Time, h *hdrhistogram.Histogram) error {
	var mu sync.Mutex
	record := func(n int64) error {
		mu.Lock()
		defer mu.Unlock()
		return h.RecordValue(n)
	}
	var group sync.WaitGroup
	errs := make([]error, c.pairs)
	for i := range c.pairs {
		group.Go(func() { errs[i] = c.pingUntil(ctx, i, end, record) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(q))
}

// median is the median of every figure by itself.
func (c *contender) median() figures {
	return figures{
		p50:       medianOf(c.rounds, func(f figures) time.Duration { return f.p50 }),
		p99:       medianOf(c.rounds, func(f figures) time.Duration { return f.p99 }),
		perSecond: medianOf(c.rounds, func(f figures) float64 { return f.perSecond }),
		allocs:    medianOf(c.rounds, func(f figures) float64 { return f.allocs }),
	}
}

// ratio is the median, over the rounds, of c's figure divided by other's of the same round.
func (c *contender) ratio(other *contender, of func(figures) float64) float64 {
	ratios := make([]float64, len(c.rounds))
	for i := range c.rounds {
		ratios[i] = of(c.rounds[i]) / of(other.rounds[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func p50(f figures) float64  { return float64(f.p50) }
func p99(f figures) float64  { return float64(f.p99) }
func rate(f figures) float64 { return f.perSecond }

func medianOf[T time.Duration | float64](all []figures, of func(figures) T) T {
	values := make([]T, len(all))
	for i, f := range all {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
