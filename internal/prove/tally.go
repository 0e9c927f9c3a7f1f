package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The lines that count, as tests log them and as the go command prints them.
var (
	countedLine = regexp.MustCompile(`\bcounted (\d+) ([a-z-]+(?: [a-z-]+)*)(?:; all of them: (true|false))?`)
	reachedLine = regexp.MustCompile(`\breached +(\d+) times: (.+)`)
	fuzzLine    = regexp.MustCompile(`^fuzz: elapsed: .*\bexecs: (\d+) `)
)

// tally is what was counted. It is safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	counts  []count
	reached []count
	failed  []failure
	output  map[string][]string // of tests that may yet fail
}

// count is so many things in a test.
type count struct {
	pkg, test string
	n         int
	what      string
	all       string // "true" or "false" where it says whether these were all that there are
}

type failure struct {
	job    job
	err    error
	output []string
}

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// take takes one line in. What is no JSON is kept as output.
func (t *tally) take(j job, line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e event
	if json.Unmarshal(line, &e) != nil {
		e = event{Action: "output", Output: string(line) + "\n"}
	}
	switch e.Action {
	case "output", "build-output":
		t.keep(j, e)
		t.count(j, e)
	case "pass", "skip":
		delete(t.output, key(j, e.Test))
	}
}

func key(j job, test string) string { return j.String() + "\x00" + test }

// keep remembers the end of what a test printed.
func (t *tally) keep(j job, e event) {
	if t.output == nil {
		t.output = map[string][]string{}
	}
	const most = 200
	k := key(j, e.Test)
	if t.output[k] = append(t.output[k], e.Output); len(t.output[k]) > most {
		t.output[k] = t.output[k][1:]
	}
}

func (t *tally) count(j job, e event) {
	c := count{pkg: j.name, test: e.Test}
	if m := fuzzLine.FindStringSubmatch(e.Output); m != nil && j.fuzz != "" {
		c.test, c.what = j.fuzz, "fuzz executions"
		c.n, _ = strconv.Atoi(m[1])
		t.replace(c)
		return
	}
	if m := countedLine.FindStringSubmatch(e.Output); m != nil {
		c.n, _ = strconv.Atoi(m[1])
		c.what, c.all = m[2], m[3]
		t.counts = append(t.counts, c)
	}
	if m := reachedLine.FindStringSubmatch(e.Output); m != nil {
		c.n, _ = strconv.Atoi(m[1])
		c.what = strings.TrimSpace(m[2])
		t.reached = append(t.reached, c)
	}
}

// replace is for what is counted upwards.
func (t *tally) replace(c count) {
	for i, old := range t.counts {
		if old.pkg == c.pkg && old.test == c.test && old.what == c.what {
			t.counts[i] = c
			return
		}
	}
	t.counts = append(t.counts, c)
}

// timeUp is whether j was fuzzing and failed for no reason but that its time was up. Go up to 1.26 says so now and then of
// a target that it found nothing in (go.dev/issue/75804); what it finds, it names below the target's own line.
func (t *tally) timeUp(j job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	printed := strings.Join(t.output[key(j, j.fuzz)], "")
	_, verdict, failed := strings.Cut(printed, "--- FAIL: "+j.fuzz+" (")
	_, reason, _ := strings.Cut(verdict, "\n")
	return failed && strings.TrimSpace(reason) == context.DeadlineExceeded.Error()
}

// fail keeps what the failed tests of j printed.
func (t *tally) fail(j job, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := failure{job: j, err: err}
	var left []string
	for k := range t.output {
		if strings.HasPrefix(k, key(j, "")) {
			left = append(left, k)
		}
	}
	slices.Sort(left)
	for _, k := range left {
		f.output = append(f.output, t.output[k]...)
	}
	t.failed = append(t.failed, f)
}

func (t *tally) failures() string {
	var b strings.Builder
	for _, f := range t.failed {
		fmt.Fprintf(&b, "%s\n%v\n%s\n", f.job, f.err, strings.Join(f.output, ""))
	}
	return b.String()
}

func (t *tally) sum(what string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.counts {
		if c.what == what {
			n += c.n
		}
	}
	return n
}

// rarest returns the states that were reached least often in all runs of a package; drivers are played too little to tell.
func (t *tally) rarest(most int) []count {
	sums := map[count]int{}
	for _, c := range t.reached {
		if !strings.Contains(c.pkg, "/internal/") {
			continue
		}
		sums[count{pkg: c.pkg, what: c.what}] += c.n
	}
	var all []count
	for c, n := range sums {
		c.n = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.n, b.n), cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.what, b.what))
	})
	return all[:min(most, len(all))]
}
