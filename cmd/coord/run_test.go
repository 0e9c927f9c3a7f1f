package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var ackLine = regexp.MustCompile(`^ACK from coord-b in [0-9.]+(µs|ms|s)\n$`)

func TestRunAndSend(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--timeout", "600s")
	await(t, &b.err, "coord-b joined (incarnation 1), waiting up to 10m")
	code, out, errs := u.run("send", "--from", "coord-a", "--to", "coord-b", "--type", "wake")
	if code != 0 || !ackLine.MatchString(out) || errs != "" {
		t.Errorf("send: exit code %d, stdout %q, stderr %q", code, out, errs)
	}
	expect(t, b.code(t), 0, b.out.String(), "Signal received: wake from coord-a\n")
	if u.must("ls") != "ID  INCARNATION  LAST BEAT  STATUS  SIGNATURE\n" {
		t.Error("somebody left without taking the heartbeat away")
	}
}

// A signal that was sent before anybody waits, with its payload from three places.
func TestPayloads(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.must("send", "--from", "a", "--to", "b", "--no-wait", "--payload", "plain \x1b[31m")
	u.must("send", "--from", "a", "--to", "b", "--no-wait", "--payload", "@"+secretFile(t, "of a file\n"))
	p := u.startWith([]byte("of stdin"), "send", "--from", "a", "--to", "b", "--no-wait", "--payload", "-")
	expect(t, p.code(t), 0, p.out.String(), "posted wake to b\n")
	for _, want := range []string{`"plain \x1b[31m"`, `"of a file\n"`, `"of stdin"`} {
		expect(t, 0, 0, u.must("run", "--id", "b"), "Signal received: wake from a, payload "+want+"\n")
	}
	p = u.startWith(make([]byte, 70_000), "send", "--from", "a", "--to", "b", "--payload", "-")
	if code := p.code(t); code != exitError || !strings.Contains(p.err.String(), "64 KiB") {
		t.Errorf("too large: exit code %d, %q", code, &p.err)
	}
}

func TestFilteredRunsLeaveTheRest(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	for _, s := range []string{"a wake", "a validate", "c validate"} {
		from, typ, _ := strings.Cut(s, " ")
		u.must("send", "--from", from, "--to", "b", "--type", typ, "--no-wait")
	}
	expect(t, 0, 0, u.must("run", "--id", "b", "--type", "validate", "--from", "c"), "Signal received: validate from c\n")
	p := u.start("run", "--id", "b", "--forever", "--from", "a,x", "--timeout", "1h")
	await(t, &p.out, "Signal received: wake from a\nSignal received: validate from a\n")
	p.signal(t, syscall.SIGTERM)
	expect(t, p.code(t), 0, p.out.String(), "Signal received: wake from a\nSignal received: validate from a\n")
}

func TestForever(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	p := u.start("run", "--id", "coord-b", "--forever")
	await(t, &p.err, "waiting for signals")
	want := ""
	for i := range 3 {
		u.must("send", "--from", fmt.Sprintf("coord-%d", i), "--to", "coord-b")
		want += fmt.Sprintf("Signal received: wake from coord-%d\n", i)
	}
	p.signal(t, syscall.SIGTERM)
	expect(t, p.code(t), 0, p.out.String(), want)
	expect(t, 0, 0, u.must("ls", "--output", "json"), "")
	code, out, errs := u.run("run", "--id", "coord-b", "--forever", "--timeout", "2000")
	expect(t, code, exitTimeout, out, "")
	if !strings.HasSuffix(errs, "\ntimeout waiting for signal after 2s\n") {
		t.Errorf("stderr: %q", errs)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	began := time.Now()
	code, out, errs := u.run("run", "--id", "coord-b", "--timeout", "2000")
	expect(t, code, exitTimeout, out, "")
	if took := time.Since(began); took < 2*time.Second || !strings.HasSuffix(errs, "\ntimeout waiting for signal after 2s\n") {
		t.Errorf("after %v: %q", took, errs)
	}
	code, out, errs = u.run("run", "--id", "coord-b", "--timeout", "0")
	expect(t, code, exitWaiting, out, "")
	if !strings.HasSuffix(errs, "\nno signal yet: still waiting\n") {
		t.Errorf("stderr: %q", errs)
	}
}

func TestNoACK(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	code, out, errs := u.run("send", "--from", "coord-a", "--to", "coord-b", "--timeout", "2s")
	expect(t, code, exitTimeout, out, "")
	want := "no ACK from coord-b after 2s: the signal stays in its mailbox and may still be handed over\n"
	if errs != want {
		t.Errorf("stderr %q, want %q", errs, want)
	}
	expect(t, 0, 0, u.must("run", "--id", "coord-b"), "Signal received: wake from coord-a\n")
}

func TestStops(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}} {
		p := u.start("run", "--id", "coord-b")
		await(t, &p.err, "waiting up to 10m")
		p.signal(t, c.signal)
		expect(t, p.code(t), c.code, p.out.String(), "")
	}
	expect(t, 0, 0, u.must("ls", "--output", "json"), "") // left cleanly
	p := u.start("send", "--from", "coord-a", "--to", "coord-b", "--timeout", "60s")
	eventually(t, func() error {
		if u.must("ls", "signals", "--output", "json") == "" {
			return fmt.Errorf("not sent yet")
		}
		return nil
	})
	p.signal(t, syscall.SIGTERM)
	expect(t, p.code(t), 143, p.out.String(), "")
	if want := "coord: no ACK from coord-b yet: the signal stays in its mailbox"; !strings.HasPrefix(p.err.String(), want) {
		t.Errorf("stderr: %q", &p.err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--output", "json")
	var ack, signal map[string]any
	decode(t, u.must("send", "--from", "coord-a", "--to", "coord-b", "--payload", "x", "--output", "json"), &ack)
	if b.code(t) != 0 {
		t.Fatal("run failed")
	}
	decode(t, b.out.String(), &signal)
	if ack["event"] != "ack" || ack["from"] != "coord-b" || ack["signalId"] != signal["id"] || ack["latencyMs"].(float64) <= 0 {
		t.Errorf("ack: %v", ack)
	}
	if signal["event"] != "signal" || signal["type"] != "wake" || signal["from"] != "coord-a" || signal["payload"] != "x" {
		t.Errorf("signal: %v", signal)
	}
	code, out, errs := u.run("run", "--id", "a:b", "--output", "json")
	expect(t, code, exitUsage, out, "")
	var failed map[string]any
	decode(t, errs, &failed)
	if failed["exit"] != 2.0 || !strings.Contains(failed["error"].(string), "invalid id") {
		t.Errorf("error: %v", failed)
	}
}

func decode(t *testing.T, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil || strings.Count(line, "\n") != 1 {
		t.Fatalf("%q is not one line of JSON: %v", line, err)
	}
}

// Every flag by the environment, and the command line before it.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	server, _ := onRedis(t)
	u := at(t, "", append(server.env, "COORD_STORE=redis://127.0.0.1:1", "COORD_FROM=coord-e", "COORD_TO=coord-f",
		"COORD_TYPE=by-env", "COORD_NAMESPACE=elsewhere", "COORD_NO_WAIT=true", "COORD_OUTPUT=json", "COORD_TIMEOUT=20000")...)
	url := strings.TrimPrefix(server.env[len(server.env)-1], "COORD_STORE=")
	var posted map[string]any
	decode(t, u.must("send", "--store", url), &posted)
	if posted["to"] != "coord-f" || posted["type"] != "by-env" {
		t.Errorf("posted: %v", posted)
	}
	v := at(t, "", "COORD_ID=coord-f", "COORD_NAMESPACE=elsewhere", "REDIS_URL="+url)
	v.env = append(v.env[:4:4], v.env[5:]...) // no COORD_STORE, so REDIS_URL counts
	expect(t, 0, 0, v.must("run"), "Signal received: by-env from coord-e\n")
}

// A send under the name of a coordinator that runs does not end it, nor leaves anything of its own in the store.
func TestSendingUnderARunningName(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	a := u.start("run", "--id", "coord-a", "--forever", "--beat", "100ms")
	b := u.start("run", "--id", "coord-b", "--forever")
	await(t, &a.err, "joined")
	await(t, &b.err, "joined")
	for range 3 {
		u.must("send", "--from", "coord-a", "--to", "coord-b")
	}
	u.must("send", "--from", "coord-b", "--to", "coord-a")
	fits(t, u.must("ls", "--all"), `
ID .*
coord-a +1 .* alive +ok
coord-b +1 .* alive +ok
`)
	for _, p := range []*process{a, b} {
		p.signal(t, syscall.SIGTERM)
	}
	expect(t, a.code(t), 0, a.out.String(), "Signal received: wake from coord-b\n")
	expect(t, b.code(t), 0, b.out.String(), strings.Repeat("Signal received: wake from coord-a\n", 3))
}
