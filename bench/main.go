// Command bench measures what a signal costs: beside a bare publish and subscribe, beside other ways to do the same job,
// and against the bars that this project has set itself.
//
//	go run ./bench                          the whole run, a few minutes
//	go run ./bench -quick -json rows.json   within 50 seconds
//
// It starts a redis-server of its own, pins it and itself to one core where the platform can, and measures everything
// in one run: the contenders of a phase take turns, several rounds of them, and what counts is the median of the
// rounds and the ratio between two contenders of one phase. It ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// plan is how much is measured.
type plan struct {
	quick  bool
	rounds int
	slice  time.Duration // of one contender in one round
	fleet  []int         // numbers of coordinators
	window time.Duration // in which a fleet is watched
	json   string
	plot   string
	core   int
	only   string
}

func main() {
	var p plan
	child := flag.String("child", "", "internal: answer signals at this URL")
	pairs := flag.Int("pairs", 1, "internal: how many coordinators answer")
	flag.BoolVar(&p.quick, "quick", false, "finish within 50 seconds")
	flag.StringVar(&p.json, "json", "", "write the rows to this file")
	flag.StringVar(&p.plot, "plot", "", "write the latency distributions to this SVG file")
	flag.IntVar(&p.core, "core", -1, "the core to pin to; -1 is the last one, -2 is no pinning")
	flag.StringVar(&p.only, "only", "", "only the phases with this in their names")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, p.sized(), *child, *pairs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func start(ctx context.Context, p plan, child string, pairs int) error {
	if child != "" {
		return answer(ctx, child, pairs)
	}
	pinned, err := pin(p.core)
	if err != nil {
		return err
	}
	return measureAll(ctx, p, pinned)
}

func (p plan) sized() plan {
	p.rounds, p.slice, p.window = 11, 300*time.Millisecond, 15*time.Second
	p.fleet = []int{10, 100, 1_000, 10_000}
	if p.quick {
		p.rounds, p.slice, p.window = 5, 120*time.Millisecond, 10*time.Second
		p.fleet = []int{10_000}
	}
	return p
}

// measureAll is the run: its phases in order, then the report.
func measureAll(ctx context.Context, p plan, pinned string) error {
	server, err := startServer()
	if err != nil {
		return err
	}
	defer server.stop()
	r := &run{plan: p, ctx: ctx, server: server, report: newReport(pinned), began: time.Now()}
	r.report.redis = server.version()
	for _, phase := range r.phases() {
		if !strings.Contains(phase.name, p.only) {
			continue
		}
		r.progress(phase.name)
		if err := phase.do(); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.progress("done")
	return r.report.write(p)
}

// run is one run of the program.
type run struct {
	plan
	ctx    context.Context
	server *server
	report *report
	began  time.Time
}

type phase struct {
	name string
	do   func() error
}

func (r *run) phases() []phase {
	return []phase{
		{"one pair", r.onePair},
		{"16 pairs", func() error { return r.manyPairs(16) }},
		{"64 pairs", func() error { return r.manyPairs(64) }},
		{"memory", r.inMemory},
		{"trips", r.trips},
		{"idle waits", r.idleWaits},
		{"every hint lost", r.hintsLost},
		{"a fleet", r.fleets},
		{"detection", r.detection},
	}
}

func (r *run) progress(what string) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(r.began).Seconds(), what)
}
