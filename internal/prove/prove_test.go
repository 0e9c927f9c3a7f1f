package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// printed is what a job prints, as go test -json writes it.
func printed(t *testing.T, j job, into *tally, test string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		b, err := json.Marshal(event{Action: "output", Test: test, Output: l + "\n"})
		if err != nil {
			t.Fatal(err)
		}
		into.take(j, b)
	}
}

func TestTable(t *testing.T) {
	var all tally
	mailbox, work := job{name: module + "/internal/mailbox"}, job{name: module + "/internal/work"}
	fuzz := job{name: module + "/internal/keys", fuzz: "FuzzKeys"}
	printed(t, mailbox, &all, "TestInvariants/calm", "    proof.go:154: counted 400 runs", "    proof.go:155: counted 1200300 steps",
		"    proof.go:157: reached       7 times: a hole closed", "    proof.go:157: reached     900 times: a ghost write")
	printed(t, mailbox, &all, "TestInvariants/wild", "    proof.go:155: counted 5 steps", "    proof.go:157: reached       1 times: a hole closed")
	printed(t, job{name: module + "/store/x"}, &all, "TestProtocol/calm", "    proof.go:157: reached       1 times: a ghost write")
	printed(t, work, &all, "TestInvariants", "    proof.go:155: counted 20 steps")
	printed(t, work, &all, "TestExhaustively/two_of_us", "    every.go:24: counted 120 interleavings; all of them: true")
	printed(t, work, &all, "TestExhaustively/a_crash", "    every.go:24: counted 2000 interleavings; all of them: false")
	printed(t, work, &all, "TestMutants/x", "    kill.go:26: counted 1 mutants, at check 7", "    kill.go:9: he counted on it")
	printed(t, work, &all, "TestOther", "    a_test.go:1: counted 3 dead letters")
	printed(t, fuzz, &all, "", "fuzz: elapsed: 3s, execs: 50212 (16736/sec), new interesting: 23 (total: 28)",
		"fuzz: elapsed: 6s, execs: 131350 (27043/sec), new interesting: 26 (total: 31)")
	want := `| what | how many | where |
|---|---:|---|
| steps | 1,200,325 | mailbox 1,200,305, work 20 |
| runs | 400 | mailbox 400 |
| interleavings | 2,120 | work 2,120 |
| – two of us | 120 | work, which are all |
| – a crash | 2,000 | work, the first of them |
| mutants | 1 | work 1 |
| fuzz executions | 131,350 | keys FuzzKeys 131,350 |
| dead letters | 3 | work 3 |
| reached: a hole closed | 8 | mailbox |
| reached: a ghost write | 900 | mailbox |
`
	if got := all.table(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestVerdict(t *testing.T) {
	var all tally
	j := job{name: "p", args: []string{"test", "p"}}
	printed(t, j, &all, "TestA", "counted 10 steps")
	if err := (config{total: 10}).verdict(&all); err != nil {
		t.Error(err)
	}
	if err := (config{total: 11}).verdict(&all); err == nil {
		t.Error("fewer steps than there should be are enough")
	}
	printed(t, j, &all, "TestGood", "nothing wrong")
	all.take(j, []byte(`{"Action":"pass","Test":"TestGood"}`))
	printed(t, j, &all, "TestBad", "a_test.go:3: too bad")
	all.take(j, []byte(`{"Action":"fail","Test":"TestBad"}`))
	all.fail(j, errors.New("exit status 1"))
	err := (config{}).verdict(&all)
	if err == nil || !strings.Contains(err.Error(), "too bad") || strings.Contains(err.Error(), "nothing wrong") {
		t.Errorf("the verdict is %v", err)
	}
}

func TestPlan(t *testing.T) {
	c := config{long: true, steps: 7, years: 2, fuzz: 3 * time.Second, packages: []string{"../agree", "../keys", "."}}
	jobs, err := c.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"go test -json -count=1 -timeout=12h " + module + "/internal/agree -coord.steps=7 -coord.long",
		"go test -json -count=1 -timeout=12h " + module + "/internal/keys",
		"go test -json -run=^$ -fuzz=^FuzzKeys$ -fuzztime=3s -fuzzminimizetime=10x -parallel=1 " + module + "/internal/keys",
	} {
		if !slices.ContainsFunc(jobs, func(j job) bool { return j.String() == want }) {
			t.Errorf("the plan lacks %s", want)
		}
	}
	if slices.ContainsFunc(jobs, func(j job) bool { return strings.HasSuffix(j.name, "/prove") }) {
		t.Error("it proves itself")
	}
	years := c.test(suite{path: module, proof: true, text: `flag.Float64("coord.years", 0, "")`, count: []string{"TestYears"}})
	if want := "go test -json -count=1 -timeout=12h -run=^(TestYears)$ " + module + " -coord.years=2 -coord.long"; years.String() != want {
		t.Errorf("years are %s, want %s", years, want)
	}
	driver := c.test(suite{path: module + "/store/redisstore", proof: true})
	if want := "go test -json -count=1 -timeout=12h " + module + "/store/redisstore -coord.long"; driver.String() != want {
		t.Errorf("a driver is proved by %s, want %s", driver, want)
	}
	short := config{}.test(suite{path: module + "/store/redisstore", proof: true, count: []string{"TestA", "TestB"}})
	if want := "go test -json -count=1 -timeout=12h -run=^(TestA|TestB)$ " + module + "/store/redisstore"; short.String() != want {
		t.Errorf("in short, a driver is proved by %s, want %s", short, want)
	}
}

// What the go command says of a target whose time was up is no failure; what it says of an input that fails is one, though
// that input may fail of a deadline.
func TestFuzzingTimeUp(t *testing.T) {
	fuzz := job{name: module + "/internal/keys", fuzz: "FuzzKeys"}
	up := []string{"=== RUN   FuzzKeys", "fuzz: elapsed: 15s, execs: 138186 (0/sec), new interesting: 2 (total: 251)",
		"--- FAIL: FuzzKeys (15.10s)", "    context deadline exceeded"}
	found := []string{"=== RUN   FuzzKeys", "--- FAIL: FuzzKeys (1.10s)", "    --- FAIL: FuzzKeys (0.00s)", "        keys_test.go:1: context deadline exceeded",
		"", "    Failing input written to testdata/fuzz/FuzzKeys/8a3c", "    To re-run:", "    go test -run=FuzzKeys/8a3c"}
	for _, c := range []struct {
		name    string
		of      job
		printed []string
		up      bool
	}{
		{"time up", fuzz, up, true},
		{"an input that fails", fuzz, found, false},
		{"an input, and then time up", fuzz, append(slices.Clone(found), "    context deadline exceeded"), false},
		{"another reason", fuzz, append(slices.Clone(up[:3]), "    fuzzing process hung or terminated unexpectedly"), false},
		{"nothing", fuzz, nil, false},
		{"a test", job{name: fuzz.name}, up, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all tally
			printed(t, c.of, &all, "FuzzKeys", append(slices.Clone(c.printed), "")...)
			if got := all.timeUp(c.of); got != c.up {
				t.Errorf("time up is %v, want %v", got, c.up)
			}
		})
	}
}

func TestFailedJob(t *testing.T) {
	bad := job{name: "bad", args: []string{"test", "./no/such/package"}}
	if all := run(t.Context(), []job{bad}, 2); len(all.failed) != 1 || !strings.Contains(all.failures(), "no/such/package") {
		t.Errorf("failed: %s", all.failures())
	}
}

// What is interrupted takes with it what it started: the go command has a test binary under it, which hangs on here.
func TestInterrupted(t *testing.T) {
	const patience = 20 * time.Second
	if parent := os.Getenv("PROVE_PARENT"); parent != "" {
		conn, err := net.Dial("tcp", parent)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Read(make([]byte, 1)) // nothing comes
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROVE_PARENT", l.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	self := job{name: "self", args: []string{"test", "-json", "-run=^TestInterrupted$", "-count=1", "."}}
	ended := make(chan error, 1)
	go func() {
		ended <- self.run(ctx, &tally{})
		_ = l.Close()
	}()
	child, err := l.Accept()
	if err != nil {
		t.Fatalf("it ended before it began: %v", <-ended)
	}
	defer func() { _ = child.Close() }()
	cancel()
	if err := <-ended; err == nil {
		t.Error("an interrupted command is one that went well")
	}
	_ = child.SetReadDeadline(time.Now().Add(patience))
	if _, err := child.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the test binary lives on")
	}
}
