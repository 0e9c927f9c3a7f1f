// Command prove runs all that proves something and prints, as a Markdown table, how much of it there was: drawn and
// exhaustive interleavings, mutants, histories, simulated coordinator-years, fuzz targets. It fails where anything failed,
// or where there was less than there should be.
//
//	go run ./internal/prove         # what must pass before anything lands: some minutes
//	go run ./internal/prove -long   # hours
//
// What it does is visible in the lines that it prints: they are commands.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// config is how much is done.
type config struct {
	steps    int           // of each trial, at least; 0: as many as in an ordinary run
	total    int           // steps of all trials together, or it is a failure
	years    float64       // coordinator-years; 0: as in an ordinary run
	fuzz     time.Duration // of each target
	jobs     int           // at the same time
	long     bool          // the long form of whatever has one
	packages []string
}

func main() {
	c := configure()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	fmt.Fprintln(os.Stderr, "prove: building and listing")
	jobs, err := c.plan(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
	t := run(ctx, jobs, c.jobs)
	fmt.Printf("`go run ./internal/prove %s`, %d CPUs, %v:\n\n%s", c, runtime.NumCPU(), time.Since(began).Round(time.Second), t.table())
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "prove: interrupted, and not all was counted")
		os.Exit(1)
	}
	if err := c.verdict(t); err != nil {
		fmt.Fprintf(os.Stderr, "\nprove: %v\n", err)
		os.Exit(1)
	}
}

func configure() config {
	c := config{}
	flag.BoolVar(&c.long, "long", false, "the long form: hours")
	flag.IntVar(&c.steps, "steps", 0, "let each trial go on until it took so many `steps`")
	flag.Float64Var(&c.years, "years", 0, "simulate so many coordinator-`years`")
	flag.DurationVar(&c.fuzz, "fuzztime", 15*time.Second, "fuzz each target for so `long`; 0: not at all")
	flag.IntVar(&c.jobs, "p", 2, "so many `jobs` at the same time")
	flag.Parse()
	c.packages = flag.Args()
	c.total = 1_000_000
	if c.long {
		c.lengthen()
	}
	if len(c.packages) == 0 {
		c.packages = []string{"./..."}
	} else {
		c.total = 0
	}
	return c
}

// lengthen sets what the flags left open.
func (c *config) lengthen() {
	c.total = 100_000_000
	if c.steps == 0 {
		c.steps = 3_000_000
	}
	if c.years == 0 {
		c.years = 10
	}
}

// String is the arguments.
func (c config) String() string {
	s := fmt.Sprintf("-fuzztime %v -p %d", c.fuzz, c.jobs)
	if c.steps > 0 {
		s += fmt.Sprintf(" -steps %d", c.steps)
	}
	if c.years > 0 {
		s += fmt.Sprintf(" -years %g", c.years)
	}
	if c.long {
		s = "-long " + s
	}
	return s + " " + strings.Join(c.packages, " ")
}

// verdict is nil where nothing failed and there was enough.
func (c config) verdict(t *tally) error {
	if len(t.failed) > 0 {
		return fmt.Errorf("%d failed:\n\n%s", len(t.failed), t.failures())
	}
	if got := t.sum("steps"); got < c.total {
		return fmt.Errorf("%d steps, want %d: raise -steps", got, c.total)
	}
	return nil
}
