package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// shell runs a script in which coord is the command.
func (u *user) shell(script string) (code int, out string) {
	u.t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env, cmd.Dir = append(u.env, "COORD="+binary), u.t.TempDir()
	answer, err := cmd.Output()
	if err != nil {
		u.t.Logf("%v", err)
	}
	return cmd.ProcessState.ExitCode(), string(answer)
}

func soFar(t *testing.T, out string) (states string) {
	t.Helper()
	var r roundSoFar
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	var all []string
	for _, m := range r.Members {
		what := m.ID + " " + m.State
		if m.Answer != nil {
			what += " " + *m.Answer
		}
		if m.State == "rejected" {
			what += " " + m.Reason
		}
		all = append(all, what)
	}
	return fmt.Sprint(r.Settled, r.Complete, ": ", strings.Join(all, ", "))
}

// A round that shells alone take part in: in slices, over a restart of the one who is late.
func TestGatherAndServe(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	task := filepath.Join(t.TempDir(), "task.json")
	if err := os.WriteFile(task, []byte(`{"task":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	v1 := u.start("serve", "--id", "v1", "--exec", `echo "$COORD_SELF of $COORD_SIGNAL_ROUND got $(cat)"`)
	u.start("serve", "--id", "v2", "--exec", "exit 3")
	v3 := u.start("serve", "--id", "v3", "--exec", "sleep 100")
	await(t, &v3.err, "v3 joined")
	gather := []string{"gather", "--id", "po", "--round", "r-1", "--to", "v1,v2,v3", "--payload", "@" + task}
	const some = "v1 answered v1 of r-1 got {\"task\":7}, v2 rejected the command failed: exit status 3, "

	code, out, _ := u.run(append(gather, "--slice", "2s")...)
	expect(t, code, exitWaiting, soFar(t, out), "false false: "+some+"v3 open")
	v3.signal(t, syscall.SIGTERM)
	expect(t, v3.code(t), 0, v3.out.String(), "")
	code, out, _ = u.run(append(gather, "--timeout", "1s")...)
	expect(t, code, exitTimeout, soFar(t, out), "true false: "+some+"v3 silent")
	u.start("serve", "--id", "v3", "--exec", "echo yes")
	code, out, _ = u.run(gather...)
	expect(t, code, 0, soFar(t, out), "true false: "+some+"v3 answered yes")
	code, out, _ = u.run(append(gather, "--until", "2")...)
	expect(t, code, 0, soFar(t, out), "true true: "+some+"v3 answered yes")
	code, _, errs := u.run("gather", "--id", "po", "--round", "r-1", "--to", "v1", "--payload", "another")
	expect(t, code, exitError, fmt.Sprint(strings.Contains(errs, "another question")), "true")
	if n := strings.Count(v1.err.String(), "joined"); n != 1 {
		t.Errorf("v1 joined %d times", n)
	}
}

// A person drives it with a loop in a shell.
func TestGatherInAShell(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.start("serve", "--id", "v1", "--exec", "tr a-z A-Z")
	u.start("serve", "--id", "v2", "--exec", "sleep 3; echo done")
	code, out := u.shell(`
		while :; do
			"$COORD" gather --id po --round r --to v1,v2 --payload hello --slice 1s >round.json 2>/dev/null; code=$?
			[ $code = 75 ] || break
		done
		cat round.json; rm round.json; exit $code`)
	expect(t, code, 0, soFar(t, out), "true true: v1 answered HELLO, v2 answered done")
}

// One is killed during the round: it goes on without it, ends, or asks another one; in slices too.
func TestGatherOnDeath(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.env = append(u.env, "COORD_PRESET=fast")
	u.start("monitor")
	v1 := u.start("serve", "--id", "v1", "--exec", "sleep 100")
	u.start("serve", "--id", "v2", "--exec", "echo yes")
	u.start("serve", "--id", "s1", "--exec", `echo "in place of it: $(cat)"`)
	await(t, &v1.err, "v1 joined")
	gather := []string{"gather", "--id", "po", "--round", "r-1", "--to", "v1,v2,v3", "--payload", "q"}
	code, out, _ := u.run(append(gather, "--slice", "2s", "--on-death", "substitute=s1")...)
	expect(t, code, exitWaiting, soFar(t, out), "false false: v1 open, v2 answered yes, v3 open")
	v1.signal(t, syscall.SIGKILL)
	<-v1.gone
	code, out, _ = u.run(append(gather, "--timeout", "60s", "--until", "2", "--on-death", "substitute=s1")...)
	expect(t, code, 0, soFar(t, out), "true true: v1 dead, v2 answered yes, v3 silent, s1 answered in place of it: q")
	code, out, _ = u.run(append(gather, "--on-death", "fail")...)
	expect(t, code, 0, soFar(t, out), "true false: v1 dead, v2 answered yes, v3 silent")
	code, out, _ = u.run(append(gather, "--until", "2", "--timeout", "1s")...)
	expect(t, code, exitTimeout, soFar(t, out), "true false: v1 dead, v2 answered yes, v3 silent")
	for _, policy := range []string{"perhaps", "substitute=", "substitute=a:b"} {
		u.wrong(exitUsage, "--on-death: ", append(gather, "--on-death", policy)...)
	}
}

// A question that nobody can be asked settles nothing.
func TestGatherQuestionTooLarge(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	p := u.startWith(make([]byte, 65_500), "gather", "--id", "po", "--round", "r", "--to", "v1,v2", "--payload", "-")
	expect(t, p.code(t), exitError, soFar(t, p.out.String()), "false false: v1 open, v2 open")
	if errs := p.err.String(); !strings.Contains(errs, "64 KiB") {
		t.Errorf("stderr: %q", errs)
	}
}

// Only members settle a round, or its deadline.
func TestGatherVerdict(t *testing.T) {
	never := fmt.Errorf("%w: %w", coord.ErrTimeout, coord.ErrUnavailable)
	for name, c := range map[string]struct {
		states  string
		err     error
		onDeath string
		last    bool
		ended   bool
		code    int
	}{
		"enough":                    {"answered silent", nil, "skip", false, true, 0},
		"everybody":                 {"rejected dead", coord.ErrIncomplete, "skip", false, true, 0},
		"everybody at the end":      {"rejected dead", coord.ErrTimeout, "skip", true, true, 0},
		"a dead one ends it":        {"dead silent", coord.ErrIncomplete, "fail", false, true, 0},
		"a dead one does not":       {"dead silent", coord.ErrTimeout, "skip", false, false, exitWaiting},
		"over":                      {"answered silent", coord.ErrTimeout, "fail", true, true, exitTimeout},
		"nobody knows yet":          {"silent silent", never, "skip", false, false, exitWaiting},
		"nobody knows":              {"silent silent", never, "skip", true, false, exitUnavailable},
		"a mailbox is full":         {"answered silent", coord.ErrMailboxFull, "skip", false, false, exitError},
		"the question is too large": {"silent silent", coord.ErrTooLarge, "skip", true, false, exitError},
		"refused":                   {"answered silent", fmt.Errorf("%w: %w", store.ErrDenied, never), "skip", true, false, exitError},
		"refused in a slice":        {"answered silent", fmt.Errorf("%w: %w", store.ErrDenied, never), "skip", false, false, exitError},
		"fenced":                    {"answered silent", coord.ErrFenced, "skip", false, false, exitError},
		"stopped":                   {"answered silent", stopped{syscall.SIGTERM}, "skip", false, false, 143},
	} {
		g := gatherCmd{OnDeath: c.onDeath, Timeout: time.Minute}
		var members []coord.Member
		for _, state := range strings.Fields(c.states) {
			members = append(members, coord.Member{State: coord.MemberState(state)})
		}
		ended, err := g.verdict(members, c.err, c.last)
		code := 0
		if err != nil {
			code = codeOf(err)
		}
		if ended != c.ended || code != c.code {
			t.Errorf("%s: settled %t, exit code %d; want %t, %d", name, ended, code, c.ended, c.code)
		}
	}
}

// Who stands in for whom follows from the command line, whoever dies first.
func TestSubstitutesAreStable(t *testing.T) {
	g := gatherCmd{To: []string{"v1", "v2", "v3"}, OnDeath: "substitute=s1,s2"}
	for range 2 {
		for id, want := range map[string]string{"v1": "s1", "v2": "s2", "v3": "s1", "s1": "", "s2": ""} {
			if got := g.substitute(strings.Split("s1,s2", ","), id); got != want {
				t.Errorf("%s is replaced by %q, want %q", id, got, want)
			}
		}
	}
}
