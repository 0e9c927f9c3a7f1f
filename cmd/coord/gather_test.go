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
	v1 := u.start("serve", "--id", "v1", "--exec", `echo "$COORD_ID of $COORD_ROUND got $(cat)"`)
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
