package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store/redisstore"
)

// raw is the store without the protocol, as redis-cli would see it.
func raw(t *testing.T, url string) *redisstore.Store {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// setex is redis-cli SETEX key 86400 value.
func setex(t *testing.T, url, key, value string) {
	t.Helper()
	if err := raw(t, url).SetEX(t.Context(), key, []byte(value), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
}

// walkthrough is the signal of the walkthrough's terminal 3: date +%s, not signed.
func walkthrough() string {
	return fmt.Sprintf(`{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":%d}`, time.Now().Unix())
}

func TestTheWalkthroughsSignal(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--accept-legacy", "--allow-unsigned")
	await(t, &b.err, "warning: --allow-unsigned: whoever can write to the store can send signals in any name\n")
	await(t, &b.err, "joined")
	setex(t, server.URL(), "blocking:signal:coord-b", walkthrough())
	expect(t, b.code(t), 0, b.out.String(), "Signal received: wake from coord-a\n")
	ack, err := raw(t, server.URL()).Get(t.Context(), "blocking:ack:coord-a")
	if err != nil || !strings.HasPrefix(string(ack), `{"receiverId":"coord-a","timestamp":`) {
		t.Errorf("ACK %s, %v", ack, err)
	}
	// The slot is never deleted, and what was handed over is not handed over again.
	code, out, _ := u.run("run", "--id", "coord-b", "--accept-legacy", "--allow-unsigned", "--timeout", "1500")
	expect(t, code, exitTimeout, out, "")
}

// Without the flags it is refused with the reason, once, and the wait goes on.
func TestLegacyIsOffByDefault(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	for _, c := range []struct {
		id, want string
		flags    []string
	}{
		{"coord-b", "signal refused: unsigned, and the legacy format is off: start with --accept-legacy --allow-unsigned to take it", nil},
		{"coord-c", "signal refused: unsigned: no signature\n", []string{"--accept-legacy"}},
	} {
		p := u.start(append([]string{"run", "--id", c.id}, c.flags...)...)
		await(t, &p.err, "joined")
		setex(t, server.URL(), "blocking:signal:"+c.id, strings.ReplaceAll(walkthrough(), "coord-b", c.id))
		await(t, &p.err, c.want)
		u.must("send", "--from", "coord-a", "--to", c.id, "--type", "go", "--timeout", "30s")
		expect(t, p.code(t), 0, p.out.String(), "Signal received: go from coord-a\n")
		if n := strings.Count(p.err.String(), "signal refused: "); n != 1 {
			t.Errorf("%d refusals:\n%s", n, &p.err)
		}
	}
}

func TestEmitLegacy(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	code, out, errs := u.run("send", "--from", "coord-a", "--to", "coord-b", "--emit-legacy", "--timeout", "2s")
	expect(t, code, exitTimeout, out, "")
	if !strings.Contains(errs, "the signal stays in its slot") {
		t.Errorf("stderr %q", errs)
	}
	b := u.start("run", "--id", "coord-b", "--forever", "--accept-legacy")
	await(t, &b.out, "Signal received: wake from coord-a\n")
	code, out, errs = u.run("send", "--from", "coord-a", "--to", "coord-b", "--emit-legacy", "--timeout", "30s")
	if code != 0 || !ackLine.MatchString(out) {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	u.wrong(exitUsage, "carries no payload", "send", "--from", "coord-a", "--to", "coord-b", "--emit-legacy", "--payload", "x")
}

// node runs the program that was written from the walkthrough's code alone.
func node(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("COORD_REQUIRE_NODE") == "1" {
			t.Fatal("no node on PATH, and COORD_REQUIRE_NODE=1")
		}
		t.Skip("no node on PATH")
	}
	cmd := exec.Command(path, append([]string{"../../internal/envelope/testdata/legacy.mjs"}, args...)...)
	cmd.Env = append(os.Environ(), "BLOCKING_COORDINATION_SECRET="+testSecret)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	return string(out)
}

func TestAnIndependentProgramSignsAndVerifies(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	setex(t, server.URL(), "blocking:signal:coord-b", node(t, "", "sign", "coord-a", "coord-b", "wake"))
	expect(t, 0, 0, u.must("run", "--id", "coord-b", "--accept-legacy"), "Signal received: wake from coord-a\n")
	u.must("send", "--from", "coord-b", "--to", "coord-a", "--type", "validate", "--emit-legacy", "--no-wait")
	slot, err := raw(t, server.URL()).Get(t.Context(), "blocking:signal:coord-a")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, 0, 0, node(t, string(slot), "verify"), "Signal received: validate")
}
