package main

import (
	"strings"
	"testing"
	"time"
)

// signalIn is what wait has printed.
func signalIn(t *testing.T, out string) received {
	t.Helper()
	var r received
	decode(t, out, &r)
	return r
}

// In slices: nothing is consumed while nothing fits, then one signal is told and acknowledged, and told again to whoever
// asks again under the name.
func TestWaitInSlices(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.must("send", "--from", "x", "--to", "b", "--type", "other", "--no-wait")
	wait := []string{"wait", "--id", "b", "--name", "w-1", "--from", "a", "--type", "wake"}
	for range 2 {
		code, out, errs := u.run(append(wait, "--slice", "300ms")...)
		expect(t, code, exitWaiting, out, "")
		if !strings.HasSuffix(errs, "no signal yet: still waiting\n") {
			t.Errorf("stderr: %q", errs)
		}
	}
	sender := u.start("send", "--from", "a", "--to", "b", "--payload", "go on", "--timeout", "60s")
	first := u.must(append(wait, "--slice", "30s")...)
	if r := signalIn(t, first); r.From != "a" || r.Type != "wake" || r.Text != "go on" || r.Event != "signal" {
		t.Errorf("%+v", r)
	}
	if sender.code(t) != 0 {
		t.Error("no ACK")
	}
	u.must("send", "--from", "a", "--to", "b", "--payload", "later", "--no-wait")
	expect(t, 0, 0, u.must(wait...), first)
	if r := signalIn(t, u.must("wait", "--id", "b", "--name", "w-2", "--from", "a")); r.Text != "later" {
		t.Errorf("the next wait is told %+v", r)
	}
	if r := signalIn(t, u.must("wait", "--id", "b")); r.Type != "other" {
		t.Errorf("what did not fit is told as %+v", r)
	}
}

// A slice more does not give it more time, and what stands there when the time is over is still told.
func TestWaitUntilItsDeadline(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	began := time.Now()
	wait := []string{"wait", "--id", "b", "--name", "w", "--timeout", "3s"}
	code, slices := exitWaiting, 0
	for ; code == exitWaiting; slices++ {
		code, _, _ = u.run(append(wait, "--slice", "1s")...)
	}
	if took := time.Since(began); code != exitTimeout || took < 3*time.Second || slices < 2 || slices > 4 {
		t.Errorf("exit code %d after %v and %d slices", code, took, slices)
	}
	code, out, errs := u.run(wait...)
	expect(t, code, exitTimeout, out, "")
	if !strings.HasSuffix(errs, "timeout waiting for signal after 3s\n") {
		t.Errorf("stderr: %q", errs)
	}
	u.must("send", "--from", "a", "--to", "b", "--no-wait")
	if r := signalIn(t, u.must(wait...)); r.From != "a" {
		t.Errorf("%+v", r)
	}
	code, out, _ = u.run("wait", "--id", "b", "--timeout", "0")
	expect(t, code, exitWaiting, out, "")
}

// It says so where it supersedes somebody.
func TestWaitSupersedesAloud(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	running := u.start("run", "--id", "b", "--forever", "--beat", "100ms")
	await(t, &running.err, "joined")
	const said = "warning: superseding incarnation 1 of b, whose last heartbeat is of "
	_, _, errs := u.run("wait", "--id", "b", "--timeout", "0")
	if !strings.Contains(errs, said) {
		t.Errorf("wait says %q", errs)
	}
	if running.code(t) != exitError {
		t.Errorf("who was superseded: %s", &running.err)
	}
	if _, _, errs = u.run("wait", "--id", "b", "--timeout", "0"); strings.Contains(errs, "warning") {
		t.Errorf("nobody is there, and it says %q", errs)
	}
}
