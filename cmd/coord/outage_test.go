package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/blocking-coordination/coord/internal/redistest"
)

// Redis is restarted under a coordinator, and a signal is sent meanwhile.
func TestRedisRestart(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--forever", "--beat", "200ms", "--ttl", "10s")
	await(t, &b.err, "joined")
	server.Kill()
	await(t, &b.err, "Redis failure, retrying in 1s (attempt 1)")
	a := u.start("send", "--from", "coord-a", "--to", "coord-b", "--timeout", "60s")
	await(t, &a.err, "Redis failure")
	await(t, &b.err, "Redis failure, retrying in 2s (attempt 2)")
	server.Restart()
	await(t, &b.err, "heartbeat resumed")
	if a.code(t) != 0 || !ackLine.MatchString(a.out.String()) {
		t.Errorf("send: %q", &a.out)
	}
	await(t, &b.out, "Signal received: wake from coord-a\n")
	b.signal(t, syscall.SIGTERM)
	expect(t, b.code(t), 0, b.out.String(), "Signal received: wake from coord-a\n")
	inOrder(t, b.err.String(), "Redis failure: ", "Redis failure, retrying in 1s (attempt 1)\n",
		"Redis failure, retrying in 2s (attempt 2)\n", "] Redis connection restored\n", "] coord-b: heartbeat resumed after ")
}

// inOrder: each part stands in text once, and in that order.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	for at := 0; len(parts) > 0; parts = parts[1:] {
		i := strings.Index(text[at:], parts[0])
		if i < 0 || strings.Count(text, parts[0]) != 1 {
			t.Fatalf("%q is not there once, behind the others:\n%s", parts[0], text)
		}
		at += i
	}
}

// A store that does not answer holds up nobody for longer than was said: an hour would be noticed here.
func TestBoundsHoldWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	wait := []string{"wait", "--id", "b", "--name", "w"}
	gather := []string{"gather", "--id", "po", "--round", "r", "--to", "v1"}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"a slice of a wait":        {exitWaiting, append(wait, "--slice", "1s", "--timeout", "1h")},
		"the last slice of a wait": {exitUnavailable, append(wait, "--slice", "1h", "--timeout", "1s")},
		"a wait without a name":    {exitUnavailable, []string{"wait", "--id", "b", "--timeout", "1s"}},
		"a slice of a round":       {exitWaiting, append(gather, "--slice", "1s", "--timeout", "1h")},
		"a round":                  {exitUnavailable, append(gather, "--timeout", "1s")},
		"serving":                  {exitUnavailable, []string{"serve", "--id", "v1", "--exec", "true", "--timeout", "1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, addr := range []string{"127.0.0.1:1", redistest.BlackHole(t)} {
				at(t, "redis://"+addr).wrong(c.code, "did not answer within 1s", c.args...)
			}
		})
	}
}
