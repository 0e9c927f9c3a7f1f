package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

func testRing(t *testing.T, secret string) *envelope.Ring {
	t.Helper()
	ring, err := envelope.NewRing("blocking", envelope.Key{Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// sealed is a signal from a to b that was sent that long ago.
func sealed(t *testing.T, ring *envelope.Ring, id string, ago time.Duration) string {
	t.Helper()
	b, err := envelope.AppendSignal(nil, ring, &envelope.Signal{
		ID: id, Sender: "a", Receiver: "b", Type: "wake", Time: time.Now().Add(-ago), Session: "s", Seq: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLs(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	space, other := keys.In("blocking"), testRing(t, "another secret of at least 32 bytes")
	b := u.start("run", "--id", "b", "--type", "never")
	await(t, &b.err, "joined")
	u.must("send", "--from", "a", "--to", "b", "--no-wait")
	forgedBeat, _ := envelope.AppendHeartbeat(nil, other, &envelope.Heartbeat{ID: "ghost", Incarnation: 1, Session: "s", Time: time.Now(), Status: "alive"})
	setex(t, server.URL(), space.Heartbeat("ghost"), string(forgedBeat))
	setex(t, server.URL(), space.Mailbox("c").Entry(1), sealed(t, other, "forged", 0))
	setex(t, server.URL(), space.LegacySignal("c"), strings.ReplaceAll(walkthrough(), "coord-b", "c"))
	fits(t, u.must("ls"), `
ID +INCARNATION +LAST BEAT +STATUS +SIGNATURE
b +1 +[0-9.]+m?s ago +alive +ok
ghost +0 +- +unknown +forged
`)
	fits(t, u.must("ls", "signals"), `
FROM +TO +TYPE +AGE +STATE +SIGNATURE +KEY
a +b +wake +[0-9.]+m?s +waiting +ok +blocking:mailbox:\{b\}:entry:1
- +c +- +- +refused +forged +blocking:mailbox:\{c\}:entry:1
- +c +- +- +legacy +unsigned +blocking:signal:c
`)
	fits(t, u.must("ls", "--output", "json"), `
\{"id":"b","incarnation":1,"status":"alive","lastBeatAgeMs":[0-9]+,"signature":"ok"\}
\{"id":"ghost","incarnation":0,"status":"unknown","signature":"forged"\}
`)
}

// Who died without leaving has no heartbeat any more, and is still known.
func TestLsShowsTheSilent(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	p := u.start("run", "--id", "a", "--preset", "fast")
	await(t, &p.err, "joined")
	p.signal(t, syscall.SIGKILL)
	eventually(t, func() error {
		if out := u.must("ls"); strings.Count(out, "\n") != 1 {
			return errors.New(out)
		}
		return nil
	})
	fits(t, u.must("ls", "coordinators", "--all"), `
ID .*
a +1 +- +silent +ok
`)
}

// fits matches text against a pattern per line.
func fits(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile("^" + strings.TrimPrefix(pattern, "\n") + "$").MatchString(text) {
		t.Errorf("got:\n%swant:%s", text, pattern)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	space := keys.In("blocking")
	u.must("send", "--from", "a", "--to", "b", "--no-wait", "--payload", "hello")
	fits(t, u.must("inspect", "mailbox:{b}:entry:1"), `
key +blocking:mailbox:\{b\}:entry:1
kind +signal
ttl +(24h|23h59m[0-9]+s)
signature +ok
state +waiting
time +20.*Z \([0-9.]+m?s ago\)
\{
(  .*\n)+\}
`)
	value, err := raw(t, server.URL()).Get(t.Context(), space.Mailbox("b").Entry(1))
	if err != nil {
		t.Fatal(err)
	}
	setex(t, server.URL(), space.Mailbox("b").Entry(2), strings.Replace(string(value), "hello", "hallo", 1))
	fits(t, u.must("inspect", "blocking:mailbox:{b}:entry:2"), `
key .*
kind .*
ttl .*
signature +forged
refused +envelope: refused as forged: the signature does not fit
state +refused
(.*\n)*`)
	setex(t, server.URL(), "blocking:odd", "\x1b[31m")
	fits(t, u.must("inspect", "odd"), `
key +blocking:odd
kind +unknown
ttl +2[34]h.*
signature +none: not a signed record
"\\x1b\[31m"
`)
	setex(t, server.URL(), "blocking:odd", "\"\xff\xfe\"")
	if out := u.must("inspect", "odd", "--output", "json"); !utf8.ValidString(out) || !strings.Contains(out, `"raw":"Iv/+Ig=="`) {
		t.Errorf("%q", out)
	}
	b := u.start("run", "--id", "c", "--type", "never")
	await(t, &b.err, "joined")
	for _, key := range []string{"heartbeat:c", "generation", "{members}:entry:1"} {
		if out := u.must("inspect", key); !strings.Contains(out, "\nsignature  ok\n") {
			t.Errorf("%s:\n%s", key, out)
		}
	}
	var got map[string]any
	decode(t, u.must("inspect", "incarnation:c", "--output", "json"), &got)
	if got["kind"] != "incarnation" || got["value"] != 1.0 || got["ttlMs"].(float64) < 1e9 {
		t.Errorf("%v", got)
	}
	u.wrong(exitError, "blocking:nothing: there is no such key", "inspect", "nothing")
}

// everyKeyIsKnown: inspect knows what each key in the store is and verifies what is signed; kinds are among them.
func everyKeyIsKnown(t *testing.T, u *user, server *redistest.Server, kinds ...string) {
	t.Helper()
	names, err := raw(t, server.URL()).Keys(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range names {
		var got finding
		if strings.HasSuffix(name, ":{late}") {
			continue // it is no string, and no driver's Get reads it
		}
		code, out, errs := u.run("inspect", name, "--output", "json")
		if strings.Contains(errs, "there is no such key") {
			continue // whoever runs has deleted it meanwhile
		}
		expect(t, code, 0, errs, "")
		decode(t, out, &got)
		found[got.Kind] = got.Signature == "ok" || found[got.Kind]
		if got.Kind == kindUnknown || got.Signature != "ok" && got.Signature != unsigned {
			t.Errorf("%s: %s, signature %s, %s", name, got.Kind, got.Signature, got.Detail)
		}
	}
	for _, kind := range kinds {
		if signed, ok := found[kind]; !ok || !signed && kind != "progress" {
			t.Errorf("no %s with a signature among %q", kind, names)
		}
	}
}

// dump is everything in the store, with how long it will live to the minute.
func dump(t *testing.T, addr string) (all []string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	names, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		life := c.PTTL(t.Context(), n).Val()
		if life > 0 {
			life = life.Round(time.Hour)
		}
		all = append(all, fmt.Sprintf("%s %v %s", n, life, c.Get(t.Context(), n).Val()))
	}
	slices.Sort(all)
	return all
}

func TestGc(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	st, space, ring := raw(t, server.URL()), keys.In("blocking"), testRing(t, testSecret)
	box := space.Mailbox("b")
	// A signal that was acknowledged, whose entry came back as a ghost.
	u.must("send", "--from", "a", "--to", "b", "--no-wait")
	ghost, err := st.Get(t.Context(), box.Entry(1))
	if err != nil {
		t.Fatal(err)
	}
	u.must("run", "--id", "b")
	setex(t, server.URL(), box.Entry(1), string(ghost))
	// What waits, what is too old, what is forged.
	u.must("send", "--from", "a", "--to", "b", "--no-wait")
	setex(t, server.URL(), box.Entry(8), sealed(t, ring, "old", 25*time.Hour))
	setex(t, server.URL(), box.Entry(9), "forged")
	// Counters whose creators died before they could give them a time to live; and what only looks like one.
	lingering := []string{space.Incarnation("dead"), space.Mailbox("dead").Tail, space.Decide("dead/x/1").Counter()}
	strange := []string{"blocking2:incarnation:dead", "blocking:incarnation:a*", "blocking:incarnation:", "blocking:odd",
		"blocking:mailbox:{a*}:tail", "incarnation:dead", "blocking:mailbox:dead:tail", "blocking:signal:dead"}
	for _, key := range append(slices.Clone(lingering), strange...) {
		if _, err := st.Incr(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	before := dump(t, server.Addr)
	want := fmt.Sprintf(`
would expire %s: a decide-counter without a time to live gets 168h
would expire %s: a incarnation without a time to live gets 1680h
would delete %s: acknowledged
would delete %s: older than a signal lives
would expire %s: a signal-tail without a time to live gets 720h
dry run: would delete 2, would give 3 a time to live, would keep [0-9]+; nothing was changed
`, regexp.QuoteMeta(lingering[2]), lingering[0], regexp.QuoteMeta(box.Entry(1)), regexp.QuoteMeta(box.Entry(8)), regexp.QuoteMeta(lingering[1]))
	fits(t, u.must("gc", "--dry-run"), want)
	if after := dump(t, server.Addr); !slices.Equal(before, after) {
		t.Errorf("the dry run changed something:\n%v\n%v", before, after)
	}
	fits(t, u.must("gc"), strings.ReplaceAll(strings.Replace(want,
		"dry run: would delete 2, would give 3 a time to live, would keep [0-9]+; nothing was changed",
		"deleted 2, gave 3 a time to live, kept [0-9]+", 1), "would ", ""))
	judgeGc(t, before, dump(t, server.Addr), lingering, []string{box.Entry(1), box.Entry(8)})
	fits(t, u.must("gc"), "deleted 0, gave 0 a time to live, kept [0-9]+\n")
	expect(t, 0, 0, u.must("run", "--id", "b"), "Signal received: wake from a\n")
}

// judgeGc: nothing but lingering and gone has changed.
func judgeGc(t *testing.T, before, after, lingering, gone []string) {
	t.Helper()
	for _, line := range before {
		key, _, _ := strings.Cut(line, " ")
		switch {
		case slices.Contains(gone, key):
			if slices.Contains(after, line) {
				t.Errorf("%s is still there", key)
			}
		case slices.Contains(lingering, key):
			if i := slices.IndexFunc(after, func(l string) bool { return strings.HasPrefix(l, key+" ") }); i < 0 || after[i] == line {
				t.Errorf("%s was not given a time to live but deleted or left", key)
			}
		case !slices.Contains(after, line):
			t.Errorf("%q was touched", line)
		}
	}
}

func TestKeysAreClassifiedExactly(t *testing.T) {
	space := keys.In("blocking")
	box := space.Mailbox("b.1")
	for key, want := range map[string]string{
		space.Heartbeat("b"): kindHeartbeat, space.Incarnation("b"): "incarnation", space.Generation(): "generation",
		space.Members().Entry(3): "member", space.Members().Tail: "member-tail", space.Members().Skip(2): "skip",
		box.Entry(3): kindSignal, box.Tail: "signal-tail", box.Skip(4): "skip", space.Cursor("b"): "cursor",
		space.Ack("a", "s-1"): kindAck, space.LegacyAck("a"): "legacy-ack", space.LegacySignal("a"): kindLegacySignal,
		space.LegacySeen("a", "0f"): "legacy-seen", space.Late(): "late-index", space.Warning("a", 1, 7, 3): "warning",
		space.Handled("a", 1): "handled", space.Intents("a", 1).Tail: "intent-tail", space.Intents("a", 1).Entry(1): "intent",
		space.Unit("u", "0f"): "unit", space.Progress("u", 0): "progress", space.Checkpoint("u", 0, 10): "checkpoint",
		space.Open().Entry(1): "unit-without-an-owner", space.Deadlines().Entry(2): "deadline",
		space.Dead("a", 1).Counter(): "decide-counter", space.Dead("a", 1).Decision(): "decision-on-death",
		space.Epoch("u", 0).Vote(2): "vote-on-epoch", space.Round("a", "r").Decision(): "decision-on-round",
		space.RoundBegan("a", "r").Decision():   "decision-on-beginning",
		space.RoundReply("a", "r", "v").Vote(2): "vote-on-reply", space.RoundReply("a", "r", "v").Decision(): "decision-on-reply",
		space.Awaited("b", "w").Decision(): "decision-on-wait", space.AwaitBegan("b", "w").Counter(): "decide-counter",
		"blocking:mailbox:{b}:entry:01": kindUnknown, "blocking:mailbox:{b}:entry:": kindUnknown,
		"blocking:mailbox:b:entry:1": kindUnknown, "blocking:mailbox:{}:tail": kindUnknown, "blocking:mailbox:{b}}:tail": kindUnknown,
		"blocking:mailbox:{b}:skip:x": kindUnknown, "blocking:heartbeat:a*": kindUnknown, "blocking:heartbeat:": kindUnknown,
		"blocking:cursor:b": kindUnknown, "blocking:ack:{a*}:s": kindUnknown, "other:heartbeat:b": kindUnknown, "": kindUnknown,
		"blocking:warning:a:01:7:3": kindUnknown, "blocking:work:{u}:unit:0G": kindUnknown, "blocking:late": kindUnknown,
		"blocking:generation:x": kindUnknown, "blocking:decide:{x}:vote:1": kindUnknown, "blocking:": kindUnknown,
	} {
		if got := classify(space, key); got.Kind != want || got.Key != key {
			t.Errorf("%q is %q, want %q", key, got.Kind, want)
		}
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	fits(t, u.must("doctor"), `
ok +reachable +answered in .*
ok +version +Redis [0-9.]+
ok +role +a primary
ok +persistence +appendonly yes, appendfsync always
ok +eviction +maxmemory-policy noeviction
ok +clock +the server is .*
ok +secret +key 1 of 1: 32 bytes
`)
	weak, _ := onRedis(t, redistest.WithoutPersistence(), redistest.WithConfig("maxmemory-policy", "allkeys-lru"))
	weak.env = append(weak.env, "BLOCKING_COORDINATION_SECRET="+strings.Repeat("ab", 20))
	code, out, errs := weak.run("doctor")
	expect(t, code, exitError, errs, "coord: 1 of the checks failed\n")
	fits(t, out, `
ok +reachable .*
ok +version .*
ok +role .*
fail +persistence +appendonly no.*
warn +eviction .*
ok +clock .*
warn +secret +key 1 of 1: 40 bytes, only 2 different ones: .*
`)
	code, out, _ = at(t, "redis://127.0.0.1:1", "BLOCKING_COORDINATION_SECRET=short").run("doctor", "--output", "json")
	if code != exitError || strings.Count(out, `"severity":"fail"`) != 2 || strings.Contains(out, "short") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), 1}, {coord.ErrRejected, 1}, {coord.ErrFenced, 1}, {coord.ErrTooLarge, 1}, {coord.ErrMailboxFull, 1},
		{coord.ErrTimeout, 124}, {coord.ErrNoAck, 124}, {coord.ErrUnavailable, 69},
		{errors.Join(coord.ErrTimeout, coord.ErrUnavailable), 69}, {errors.Join(coord.ErrUnavailable, store.ErrDenied), 1},
		{fmt.Errorf("x: %w", coord.ErrInvalidID), 2}, {coord.ErrInvalidConfig, 2},
		{fmt.Errorf("%w: %w", coord.ErrNoAck, stopped{15}), 143}, {stopped{2}, 130}, {usage(errors.New("x")), 2},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}
