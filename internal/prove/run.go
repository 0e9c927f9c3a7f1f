package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// every is how often the progress is told.
const every = 10 * time.Second

// progress says what is under way, and what is done.
type progress struct {
	mu    sync.Mutex
	began time.Time
	all   int
	done  int
	under []string
}

// run does jobs, a few at a time, and tells of the progress. What was under way when ctx ended is gone when it returns.
func run(ctx context.Context, jobs []job, atOnce int) *tally {
	p := &progress{began: time.Now(), all: len(jobs)}
	t := &tally{}
	ended := make(chan struct{})
	var talk, all sync.WaitGroup
	talk.Go(func() { p.talk(ended) })
	queue := make(chan job)
	for range max(1, atOnce) {
		all.Go(func() {
			for j := range queue {
				p.do(ctx, j, t)
			}
		})
	}
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		queue <- j
	}
	close(queue)
	all.Wait()
	close(ended)
	talk.Wait()
	return t
}

func (p *progress) do(ctx context.Context, j job, t *tally) {
	began := time.Now()
	p.begin(j)
	err := j.run(ctx, t)
	p.end(j, time.Since(began), err)
	if err != nil && ctx.Err() == nil {
		t.fail(j, err)
	}
}

// run counts what the command prints.
func (j job) run(ctx context.Context, t *tally) error {
	cmd := exec.CommandContext(ctx, "go", j.args...)
	cmd.WaitDelay = 10 * time.Second
	endTogether(cmd)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		t.take(j, lines.Bytes())
	}
	if err := cmd.Wait(); err != nil && !t.timeUp(j) {
		return fmt.Errorf("%w\n%s", err, complaint.Bytes())
	}
	return lines.Err()
}

// short is the package below the module, and the target that is fuzzed.
func (j job) short() string { return strings.TrimSpace(below(j.name) + " " + j.fuzz) }

func (p *progress) begin(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.under = append(p.under, j.short())
}

func (p *progress) end(j job, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if i := slices.Index(p.under, j.short()); i >= 0 {
		p.under = slices.Delete(p.under, i, i+1)
	}
	outcome := "ok  "
	if err != nil {
		outcome = "FAIL"
	}
	fmt.Fprintf(os.Stderr, "%s %7.1fs  %s\n", outcome, took.Seconds(), j)
}

func (p *progress) talk(ended <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for p.say(); ; p.say() {
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

func (p *progress) say() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(os.Stderr, "prove: %d of %d done in %v; under way: %s\n", p.done, p.all,
		time.Since(p.began).Round(time.Second), strings.Join(p.under, ", "))
}
