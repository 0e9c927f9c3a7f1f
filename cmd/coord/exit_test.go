package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// wrong runs a command that has to fail with one clear line, and nothing secret in it.
func (u *user) wrong(code int, want string, args ...string) {
	u.t.Helper()
	got, out, errs := u.run(args...)
	if got != code || out != "" || !strings.Contains(errs, want) {
		u.t.Errorf("coord %s: exit code %d, stdout %q, stderr %q; want %d and %q",
			strings.Join(args, " "), got, out, errs, code, want)
	}
	for _, secret := range []string{testSecret, "hunter2", "goroutine "} {
		if strings.Contains(errs, secret) {
			u.t.Errorf("coord %s: %q in %q", strings.Join(args, " "), secret, errs)
		}
	}
	if n := strings.Count(last(errs), "\n"); n != 1 || !strings.HasPrefix(last(errs), "coord: ") {
		u.t.Errorf("coord %s: not one line: %q", strings.Join(args, " "), errs)
	}
}

// last is what stands behind the narrator's lines, which begin with the time.
func last(errs string) string {
	lines := strings.SplitAfter(errs, "\n")
	for len(lines) > 1 && strings.HasPrefix(lines[0], "[") {
		lines = lines[1:]
	}
	return strings.Join(lines, "")
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	u := at(t, "redis://127.0.0.1:1")
	long := strings.Repeat("x", 129)
	for _, c := range [][]string{
		{"expected one of"},
		{"unknown flag --bogus", "run", "--bogus"},
		{"unexpected argument nonsense", "nonsense"},
		{"missing flags: --id", "run"},
		{"--id: invalid id", "run", "--id", "a:b"},
		{"--id: invalid id", "run", "--id", long},
		{"invalid id: it is empty", "run", "--id", ""},
		{"--to: invalid id", "send", "--from", "a", "--to", "*"},
		{"--type: invalid id", "send", "--from", "a", "--to", "b", "--type", "no spaces"},
		{"--namespace: invalid id", "run", "--id", "a", "--namespace", "a:b"},
		{`such as 600s, or bare milliseconds, but got "10x"`, "run", "--id", "a", "--timeout", "10x"},
		{"must not be negative", "run", "--id", "a", "--timeout=-5s"},
		{"must be positive", "send", "--from", "a", "--to", "b", "--timeout", "0"},
		{"--output must be one of", "run", "--id", "a", "--output", "xml"},
		{"--allow-unsigned needs --accept-legacy", "run", "--id", "a", "--allow-unsigned"},
		{"policy: TTL", "run", "--id", "a", "--ttl", "1s"},
		{"--slice needs --name", "wait", "--id", "a", "--slice", "1s"},
		{"must be one of", "ls", "everything"},
		{"--exec: which command", "serve", "--id", "a", "--exec", ""},
		{"--until: 5 answers of 2 members", "gather", "--id", "a", "--round", "r", "--to", "v1,v2", "--until", "5"},
	} {
		u.wrong(exitUsage, c[0], c[1:]...)
	}
}

func TestErrorsAtOnce(t *testing.T) {
	t.Parallel()
	run := []string{"run", "--id", "b", "--timeout", "60s"}
	began := time.Now()
	at(t, "mem:").wrong(exitError, "mem: lives inside one process", run...)
	at(t, "http://127.0.0.1").wrong(exitError, "unknown store", run...)
	at(t, "redis://:hunter2%zz@127.0.0.1:6379").wrong(exitError, "malformed URL", run...)
	at(t, "redis://:hunter2@127.0.0.1:port").wrong(exitError, "malformed URL", "doctor")
	at(t, "redis://:hunter2@127.0.0.1:1/zero").wrong(exitError, "malformed URL", "ls")
	at(t, "", "BLOCKING_COORDINATION_SECRET=").wrong(exitError, "no secret", run...)
	at(t, "", "BLOCKING_COORDINATION_SECRET=hunter2").wrong(exitError, "the secret has 7 bytes", run...)
	at(t, "", "COORD_SECRET_FILE=/nonexistent").wrong(exitError, "no such file", run...)
	at(t, "").wrong(exitError, "--payload: open /nonexistent", "send", "--from", "a", "--to", "b", "--payload", "@/nonexistent")
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t, redistest.WithPassword("open sesame"))
	began := time.Now()
	for _, password := range []string{"", "REDIS_PASSWORD=hunter2"} {
		v := at(t, "redis://"+server.Addr, password)
		v.wrong(exitError, "access denied", "run", "--id", "b", "--timeout", "60s")
		v.wrong(exitError, "access denied", "send", "--from", "a", "--to", "b", "--timeout", "60s")
		v.wrong(exitError, "access denied", "ls", "--timeout", "60s")
		v.wrong(exitError, "access denied", "monitor", "--once")
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
	u.must("send", "--from", "a", "--to", "b", "--no-wait")
	right := at(t, "redis://"+server.Addr, "REDIS_PASSWORD=open sesame")
	expect(t, 0, 0, right.must("run", "--id", "b"), "Signal received: wake from a\n")
	// A password in the URL goes before REDIS_PASSWORD.
	at(t, server.URL(), "REDIS_PASSWORD=hunter2").must("ls", "signals")
}

func TestUnreachableStore(t *testing.T) {
	t.Parallel()
	nobody := at(t, "redis://user:hunter2@127.0.0.1:1/3")
	const want = "redis://127.0.0.1:1/3 did not answer within 500ms"
	nobody.wrong(exitUnavailable, want+": redisstore: GET", "run", "--id", "b", "--timeout", "500")
	nobody.wrong(exitUnavailable, want, "run", "--id", "b", "--timeout", "500", "--forever")
	nobody.wrong(exitUnavailable, want, "send", "--from", "a", "--to", "b", "--timeout", "500")
	nobody.wrong(exitUnavailable, want, "ls", "--timeout", "500")
	nobody.wrong(exitUnavailable, want, "gc", "--timeout", "500")
	nobody.wrong(exitUnavailable, want, "inspect", "x", "--timeout", "500")
	nobody.wrong(exitUnavailable, "connection refused", "monitor", "--once")
	at(t, "redis://"+redistest.BlackHole(t)).wrong(exitUnavailable, "did not answer within 1.5s", "run", "--id", "b", "--timeout", "1.5s")
}

func TestTLSMismatch(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	u.wrong(exitUnavailable, "TLS to "+server.Addr, "run", "--id", "b", "--timeout", "1.5s", "--store", "rediss://"+server.Addr)
}

// The store goes away under a wait, and does not come back.
func TestStoreGone(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	p := u.start("run", "--id", "b", "--timeout", "600s")
	await(t, &p.err, "joined")
	server.Kill()
	await(t, &p.err, "retrying in 1s (attempt 1)")
	p.signal(t, syscall.SIGTERM)
	expect(t, p.code(t), 143, p.out.String(), "")
}

// member is a coordinator in the process of the test.
func member(t *testing.T, url, id string) *coord.Coordinator {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := coord.Open(st, coord.Config{Secret: []byte(testSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(c.Close(), st.Close()) })
	me, err := c.Join(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return me
}

func TestRejectedAndResult(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	_, err := member(t, server.URL(), "judge").Handle(func(_ context.Context, s *coord.Signal) ([]byte, error) {
		if s.Type == "approve" {
			return []byte("granted"), nil
		}
		return nil, errors.New("not today")
	})
	if err != nil {
		t.Fatal(err)
	}
	u.wrong(exitError, "rejected by the receiver: not today", "send", "--from", "a", "--to", "judge", "--type", "deny")
	out := u.must("send", "--from", "a", "--to", "judge", "--type", "approve")
	if !strings.HasPrefix(out, "ACK from judge in ") || !strings.HasSuffix(out, ", result \"granted\"\n") {
		t.Errorf("stdout %q", out)
	}
	var ack map[string]any
	decode(t, u.must("send", "--from", "a", "--to", "judge", "--type", "approve", "--output", "json"), &ack)
	if ack["result"] != "granted" {
		t.Errorf("%v", ack)
	}
}

// A later incarnation takes over: the earlier one ends as soon as it learns of it.
func TestFenced(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	p := u.start("run", "--id", "coord-f", "--type", "never")
	await(t, &p.err, "joined (incarnation 1)")
	later := member(t, server.URL(), "coord-f")
	if _, err := later.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	sender := member(t, server.URL(), "sender")
	for range 2 { // the second is addressed to the incarnation that acknowledged the first
		if _, err := sender.Send(t.Context(), "coord-f", "wake", nil, coord.Within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	if code := p.code(t); code != exitError || !strings.Contains(last(p.err.String()), "fenced") {
		t.Errorf("exit code %d, stderr %q", code, &p.err)
	}
}

func TestAddressesShowNoPassword(t *testing.T) {
	for in, want := range map[string]string{
		"redis://user:hunter2@host:1/3?x=hunter2": "redis://host:1/3", "rediss://:hunter2@host": "rediss://host",
		"redis://:hunter2%zz@host": "the store", "": defaultStore,
	} {
		g := globals{Store: in}
		if got := g.place(); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if _, err := url.Parse(defaultStore); err != nil {
		t.Error(err)
	}
}
