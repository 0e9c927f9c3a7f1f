// Command bench measures what a signal costs: beside a bare publish and subscribe, beside other ways to do the same job,
// and against the bars that this project has set itself.
//
//	go run ./bench                          the whole run, about eight minutes
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
	quick   bool
	rounds  int
	slice   time.Duration // of one contender in one round
	fleet   []int         // numbers of coordinators
	windows int           // of one beat each, in which a fleet is watched
	limit   time.Duration // of the whole run: what is not measured by then fails
	json    string
	plot    string
	growth  string
	table   string
	core    int
	only    string
}

func main() {
	var p plan
	child := flag.String("child", "", "internal: answer signals at this URL")
	pairs := flag.Int("pairs", 1, "internal: how many coordinators answer")
	flag.BoolVar(&p.quick, "quick", false, "finish within 50 seconds")
	flag.StringVar(&p.json, "json", "", "write the rows to this file")
	flag.StringVar(&p.plot, "plot", "", "write the latency distributions to this SVG file")
	flag.StringVar(&p.growth, "growth", "", "write latency against the number of coordinators to this SVG file")
	flag.StringVar(&p.table, "markdown", "", "write the tables to this file")
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
	if addr := os.Getenv(probeEnv); addr != "" {
		return probing(addr)
	}
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
	p.rounds, p.slice, p.windows, p.limit = 11, 300*time.Millisecond, 5, 15*time.Minute
	p.fleet = []int{10, 100, 1_000, 10_000}
	if p.quick {
		p.rounds, p.slice, p.windows, p.limit = 5, 100*time.Millisecond, 1, 47*time.Second
		p.fleet = []int{10_000}
	}
	return p
}

// measureAll is the run: its phases in order, then the report.
func measureAll(interrupted context.Context, p plan, pinned string) error {
	ctx, cancel := context.WithTimeout(interrupted, p.limit)
	defer cancel()
	server, err := startServer()
	if err != nil {
		return err
	}
	defer server.stop()
	r := &run{plan: p, ctx: ctx, server: server, report: newReport(pinned), began: time.Now()}
	r.report.redis = server.version()
	for _, phase := range r.phases() {
		if !strings.Contains(phase.name, p.only) || p.quick && phase.tells {
			continue
		}
		r.progress(phase.name)
		err := phase.do()
		if interrupted.Err() != nil {
			return interrupted.Err()
		}
		if err != nil {
			r.report.broken(phase.name, err)
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
	name  string
	do    func() error
	tells bool // it has no bar, and is left out where there is little time
}

func (r *run) phases() []phase {
	return []phase{
		{name: "one pair", do: r.onePair},
		{name: "16 pairs", do: func() error { return r.manyPairs(16) }, tells: true},
		{name: "64 pairs", do: func() error { return r.manyPairs(64) }},
		{name: "memory", do: r.inMemory},
		{name: "trips", do: r.trips},
		{name: "idle waits", do: r.idleWaits},
		{name: "every hint lost", do: r.hintsLost},
		{name: "persistence", do: r.persistence, tells: true},
		{name: "detection", do: r.detection},
		{name: "a fleet", do: r.fleets},
	}
}

func (r *run) progress(what string) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(r.began).Seconds(), what)
}
