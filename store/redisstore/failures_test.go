package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

const (
	hour     = time.Hour
	patience = 20 * time.Second
)

// eventually polls until ok, or fails.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func entry(value string) store.Append {
	return store.Append{Tail: "{t}tail", TailTTL: hour, Entry: "{t}entry:", Value: []byte(value), TTL: hour, Channel: "{t}"}
}

// every calls each operation once.
func every(ctx context.Context, s *Store) map[string]error {
	errs := map[string]error{"SetEX": s.SetEX(ctx, "k", []byte("v"), hour)}
	_, errs["Get"] = s.Get(ctx, "k")
	_, errs["Incr"] = s.Incr(ctx, "n")
	_, errs["Expire"] = s.Expire(ctx, "k", hour)
	_, errs["Keys"] = s.Keys(ctx, "")
	errs["Batch"] = store.FirstError(s.Batch(ctx, []store.Op{store.GetOp("k"), store.IncrOp("n")}))
	_, errs["Append"] = s.Append(ctx, entry("v"))
	errs["Touch"] = s.Touch(ctx, "index", hour, "m")
	errs["Publish"] = s.Publish(ctx, "c", nil)
	errs["Ping"] = s.Ping(ctx)
	return errs
}

func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.URL())
	ctx := t.Context()
	var last int64
	for i := range 200 {
		n, err := s.Append(ctx, entry(fmt.Sprint(i)))
		must(t, err)
		last = n
	}
	server.Kill()
	if _, err := s.Incr(ctx, "{t}tail"); err == nil || store.Permanent(err) {
		t.Fatalf("a killed server: %v, want an error that may pass", err)
	}
	server.Restart()
	n, err := s.Append(ctx, entry("after"))
	must(t, err)
	if n != last+1 {
		t.Fatalf("ticket %d after the restart, want %d", n, last+1)
	}
	for i := range last {
		v, err := s.Get(ctx, fmt.Sprint("{t}entry:", i+1))
		if must(t, err); string(v) != fmt.Sprint(i) {
			t.Fatalf("entry %d holds %q", i+1, v)
		}
	}
}

func TestSilentServersEndAtTheTimeout(t *testing.T) {
	t.Parallel()
	frozen := redistest.Start(t)
	warm := opened(t, frozen.URL(), WithTimeout(100*time.Millisecond))
	must(t, warm.Ping(t.Context())) // a connection that stands when the server stops
	frozen.Stop()
	patient := redis.NewClient(&redis.Options{Addr: redistest.BlackHole(t), ContextTimeoutEnabled: true})
	defer func() { _ = patient.Close() }()
	for name, s := range map[string]*Store{
		"New":            New(patient, WithTimeout(100*time.Millisecond)),
		"black hole":     opened(t, "redis://"+redistest.BlackHole(t), WithTimeout(100*time.Millisecond)),
		"stopped server": warm,
	} {
		began := time.Now()
		errs := every(context.Background(), s)
		for op, err := range errs {
			if !errors.Is(err, errNoAnswer) || store.Permanent(err) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %s = %v, want %v", name, op, err, errNoAnswer)
			}
		}
		if took := time.Since(began); took > time.Duration(len(errs))*time.Second {
			t.Errorf("%s: %d operations took %v", name, len(errs), took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the caller's deadline: %v", name, err)
		}
		cancel()
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	s := opened(t, "redis://:hunter2@127.0.0.1:1") // no error: it may come up
	for op, err := range every(t.Context(), s) {
		if err == nil || store.Permanent(err) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestWrongPasswordIsDenied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithPassword("correct horse"), redistest.WithoutPersistence())
	none := redistest.Start(t, redistest.WithoutPersistence())
	for name, url := range map[string]string{
		"wrong": "redis://:hunter2@" + server.Addr, "missing": "redis://" + server.Addr,
		"no such user":     "redis://hunter2:hunter2@" + server.Addr,
		"no such database": "redis://" + none.Addr + "/999",
	} {
		for op, err := range every(t.Context(), opened(t, url)) {
			if !errors.Is(err, store.ErrDenied) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s password: %s = %v, want %v", name, op, err, store.ErrDenied)
			}
		}
	}
	s := opened(t, "redis://"+server.Addr, WithPassword("correct horse"))
	must(t, s.Ping(t.Context()))
	must(t, opened(t, server.URL()).Ping(t.Context()))
}

func TestMalformedURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "127.0.0.1:6379", "http://:hunter2@h", "redis://:hunter2@h:port", "redis://:hunt/er2@h", "redis://:hunter2@h/x",
		"redis://u:%zzhunter2@h", "redis://:hunter2@h?no_such=1", "redis://h\x00:hunter2@h", "mem:",
	} {
		s, err := Open(t.Context(), url)
		if err == nil {
			_ = s.Close()
			t.Errorf("Open(%q) took it", url)
		} else if strings.Contains(err.Error(), "hunt") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q): %v", url, err)
		}
	}
}

// With default settings go-redis sends a command again whose answer was lost: here it must not, whosever the client is.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	proxy := redistest.StartProxy(t, server.Addr)
	careless := clientOf(t, "redis://"+proxy.Addr) // retries by default
	for name, s := range map[string]*Store{"Open": opened(t, "redis://"+proxy.Addr), "New": New(careless)} {
		t.Run(name, func(t *testing.T) { checkSentOnce(t, s, clientOf(t, server.URL()), proxy) })
	}
}

func checkSentOnce(t *testing.T, s *Store, direct *redis.Client, proxy *redistest.Proxy) {
	ctx := t.Context()
	for op, call := range map[string]func() error{
		"incr":  func() error { _, err := s.Incr(ctx, "n"); return err },
		"batch": func() error { return store.FirstError(s.Batch(ctx, []store.Op{store.IncrOp("n"), store.GetOp("n")})) },
		"append": func() error {
			_, err := s.Append(ctx, store.Append{Tail: "n", TailTTL: hour, Entry: "e", TTL: hour})
			return err
		},
	} {
		must(t, direct.Set(ctx, "n", 0, 0).Err())
		must(t, s.Ping(ctx))
		_, _ = s.Append(ctx, store.Append{Tail: "warm", TailTTL: hour, Entry: "e", TTL: hour})  // the script is known
		must(t, store.FirstError(s.Batch(ctx, []store.Op{store.GetOp("n"), store.GetOp("n")}))) // connections of all kinds stand
		proxy.CutNextAnswer()
		err := call()
		if err == nil || store.Permanent(err) {
			t.Errorf("%s: a lost answer: %v, want an error of unknown outcome", op, err)
		}
		if n, err := direct.Get(ctx, "n").Int(); n != 1 {
			t.Errorf("%s ran %d times (%v)", op, n, err)
		}
	}
}

func TestScriptsRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	ctx := t.Context()
	admin := clientOf(t, server.URL())
	must(t, admin.Do(ctx, "acl", "setuser", "plain", "on", ">pw", "~*", "&*", "+@all", "-eval", "-evalsha", "-info").Err())
	s := opened(t, "redis://plain:pw@"+server.Addr)
	for range 2 {
		n, err := s.Append(ctx, entry("v"))
		if !errors.Is(err, errors.ErrUnsupported) || !store.Permanent(err) || n != 0 {
			t.Fatalf("Append = %d, %v; want %v", n, err, errors.ErrUnsupported)
		}
	}
	if _, err := s.Get(ctx, "{t}tail"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a refused append left a ticket: %v", err)
	}
	server.Kill()
	if _, err := s.Append(ctx, entry("v")); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("the second refusal took a trip: %v", err)
	}
	server.Restart()
}

func TestLateIndexWithoutScripts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	ctx := t.Context()
	admin := clientOf(t, server.URL())
	must(t, admin.Do(ctx, "acl", "setuser", "plain", "on", ">pw", "~*", "&*", "+@all", "-@scripting").Err())
	s := opened(t, "redis://plain:pw@"+server.Addr)
	must(t, s.Touch(ctx, "index", hour, "a", "b"))
	must(t, s.Touch(ctx, "index", hour, "b"))
	must(t, s.Touch(ctx, "index", hour))
	n, err := s.Count(ctx, "index")
	must(t, err)
	late, err := s.Late(ctx, "index", 1, 10)
	must(t, err)
	if n != 3 || len(late) != 1 || late[0] != "a" {
		t.Fatalf("Count = %d, Late = %q", n, late)
	}
	for _, key := range []string{"index", countKey("index")} {
		if left := admin.PTTL(ctx, key).Val(); left <= 0 || left > hour {
			t.Errorf("%s lives for %v", key, left)
		}
	}
}

func TestTicketsBeyondWhatLuaCounts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, server.URL())
	must(t, s.SetEX(t.Context(), "{t}tail", []byte("9223372036854775805"), hour))
	n, err := s.Append(t.Context(), entry("v"))
	must(t, err)
	v, err := s.Get(t.Context(), "{t}entry:9223372036854775806")
	if n != 9223372036854775806 || string(v) != "v" || err != nil {
		t.Fatalf("ticket %d, entry %q, %v", n, v, err)
	}
	_, err = s.Append(t.Context(), entry("v"))
	must(t, err)
	if n, err = s.Append(t.Context(), entry("v")); !errors.Is(err, store.ErrNotInteger) {
		t.Fatalf("ticket %d after the last one, %v", n, err)
	}
}

// A demoted primary still answers reads: whoever meets READONLY drops the pool and looks the name up again.
func TestReadOnlyServerIsResolvedAgain(t *testing.T) {
	t.Parallel()
	demoted, next := redistest.Start(t, redistest.WithoutPersistence()), redistest.Start(t, redistest.WithoutPersistence())
	must(t, clientOf(t, next.URL()).Set(t.Context(), "k", "new", 0).Err())
	s := opened(t, demoted.URL())
	ctx := t.Context()
	must(t, s.SetEX(ctx, "k", []byte("stale"), hour))
	must(t, clientOf(t, demoted.URL()).ReplicaOf(ctx, "127.0.0.1", "1").Err())
	before := s.link.client()
	s.link.dial = func() redis.UniversalClient { return clientOf(t, next.URL()) } // the name now means another server
	s.once.link.dial = s.link.dial
	if err := s.SetEX(ctx, "k2", nil, hour); err == nil || store.Permanent(err) {
		t.Fatalf("a read-only server: %v", err)
	}
	v, err := s.Get(ctx, "k")
	if err != nil || string(v) != "new" || s.link.client() == before {
		t.Fatalf("Get = %q, %v: still the demoted server", v, err)
	}
	if v, err := s.Capabilities().Once.Get(ctx, "k"); err != nil || string(v) != "new" {
		t.Fatalf("Once.Get = %q, %v: still the demoted server", v, err)
	}
}

func TestRisks(t *testing.T) {
	t.Parallel()
	careless := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = careless.Close() }()
	s := New(careless)
	defer func() { _ = s.Close() }()
	if got := strings.Join(s.Risks(), "\n"); !strings.Contains(got, "ContextTimeoutEnabled") || !strings.Contains(got, "DialerRetries") {
		t.Errorf("risks of the default client: %s", got)
	}
	ours := opened(t, "redis://127.0.0.1:1")
	if got := risks(ours.link.client(), ours.timeout); len(got) != 0 {
		t.Errorf("risks of our own client: %s", got)
	}
}
