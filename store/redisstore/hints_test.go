package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

// log remembers what a subscriber or a Notify was told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) count(line string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, got := range l.lines {
		if got == line {
			n++
		}
	}
	return n
}

func (l *log) hint(payload []byte) {
	if payload == nil {
		l.add("nil")
		return
	}
	l.add(string(payload))
}

var kinds = map[store.NoticeKind]string{
	store.NoticeFailure: "failure", store.NoticeRestored: "restored", store.NoticeRegressed: "regressed",
}

func (l *log) notice(n store.Notice) { l.add(kinds[n.Kind]) }

func quick(s *settings) {
	s.timeout, s.pingEvery, s.pauseMin, s.pauseMax = 300*time.Millisecond, 50*time.Millisecond, time.Millisecond, 20*time.Millisecond
}

func TestSubscriptionOutlivesARestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.URL(), quick)
	var hints, notices log
	defer s.Notify(notices.notice)()
	defer s.Subscribe("c", hints.hint)()
	eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
	for round := range 2 {
		server.Kill()
		eventually(t, "the failure is noticed", func() bool { return notices.count("failure") > round })
		before := hints.count("nil")
		server.Restart()
		eventually(t, "the subscription stands again", func() bool { return hints.count("nil") > before })
		eventually(t, "the new process is noticed", func() bool { return notices.count("regressed") == round+1 })
		eventually(t, "the recovery is noticed", func() bool { return notices.count("restored") == round+1 })
		text := fmt.Sprint("after restart ", round)
		must(t, s.Publish(t.Context(), "c", []byte(text)))
		eventually(t, "hints arrive", func() bool { return hints.count(text) == 1 })
	}
}

func TestReconnectionToTheSameServerIsNoRegress(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	admin := clientOf(t, server.URL())
	must(t, admin.Do(t.Context(), "acl", "setuser", "mute", "on", ">pw", "~*", "&*", "+@all", "-info").Err())
	for user, regressed := range map[string]bool{"": false, "mute:pw@": true} {
		s := opened(t, "redis://"+user+server.Addr, quick)
		var hints, notices log
		cancelNotices := s.Notify(notices.notice)
		cancel := s.Subscribe("c", hints.hint)
		eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
		before := hints.count("nil")
		must(t, admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
		eventually(t, "the subscription stands again", func() bool { return hints.count("nil") > before })
		eventually(t, "the recovery is noticed", func() bool { return notices.count("restored") > 0 })
		if got := notices.count("regressed") > 0; got != regressed {
			t.Errorf("user %q: regressed = %t, want %t", user, got, regressed)
		}
		cancel()
		cancelNotices()
	}
}

// A server that answers but denies the subscription is not restored by that: attempts come more and more seldom, until
// it grants it.
func TestDeniedSubscription(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	admin := clientOf(t, server.URL())
	must(t, admin.Do(t.Context(), "acl", "setuser", "deaf", "on", ">pw", "~*", "resetchannels", "+@all").Err())
	s := opened(t, "redis://deaf:pw@"+server.Addr, quick)
	var hints, notices log
	defer s.Notify(notices.notice)()
	defer s.Subscribe("c", hints.hint)()
	eventually(t, "the denials are noticed", func() bool { return notices.count("failure") > 3 })
	if n := notices.count("restored"); n > 0 {
		t.Errorf("restored %d times, and denied all the while", n)
	}
	must(t, admin.Do(t.Context(), "acl", "setuser", "deaf", "&*").Err())
	eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 && notices.count("restored") == 1 })
}

// A server that is frozen, or cut off without a word, is noticed by its silence.
func TestSilentSubscriptionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, server.URL(), quick)
	var hints, notices log
	defer s.Notify(notices.notice)()
	defer s.Subscribe("c", hints.hint)()
	eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
	eventually(t, "it is known to whom", func() bool { return connections(t, clientOf(t, server.URL()), "cmd=info ") > 0 })
	server.Stop()
	eventually(t, "the silence is noticed", func() bool { return notices.count("failure") > 0 })
	before := hints.count("nil")
	server.Continue()
	eventually(t, "the subscription stands again", func() bool { return hints.count("nil") > before })
	eventually(t, "the recovery is noticed", func() bool { return notices.count("restored") > 0 })
	if notices.count("regressed") > 0 {
		t.Error("the same process was taken for another one")
	}
}

func TestTenThousandSubscriptionsOnOneConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, server.URL())
	admin := clientOf(t, server.URL())
	const many = 10_000
	var mu sync.Mutex
	stands, got := map[int]bool{}, map[int]string{}
	cancels := make([]func(), many)
	for i := range many {
		cancels[i] = s.Subscribe(fmt.Sprint("c:", i), func(payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			if payload == nil {
				stands[i] = true
			} else {
				got[i] = string(payload)
			}
		})
	}
	seen := func(n int, m func() int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return m() == n }
	}
	eventually(t, "all subscriptions stand", seen(many, func() int { return len(stands) }))
	list := admin.ClientList(t.Context()).Val()
	if n := strings.Count(list, fmt.Sprint("sub=", many, " ")); n != 1 || strings.Count(list, "cmd=subscribe") > 1 {
		t.Fatalf("%d connections hold %d subscriptions:\n%s", n, many, list)
	}
	for i := 0; i < many; i += 100 {
		must(t, s.Publish(t.Context(), fmt.Sprint("c:", i), []byte("p")))
	}
	eventually(t, "hints arrive", seen(many/100, func() int { return len(got) }))
	for _, cancel := range cancels[1:] {
		cancel()
	}
	eventually(t, "the server knows of one subscription", func() bool {
		return strings.Contains(admin.ClientList(t.Context()).Val(), "sub=1 ")
	})
	cancels[0]()
	eventually(t, "the connection is gone", func() bool { return connections(t, admin, "sub=1 ") == 0 })
}

func connections(t *testing.T, admin *redis.Client, with string) int {
	return strings.Count(admin.ClientList(t.Context()).Val(), with)
}

func TestLastCancelEndsTheGoroutines(t *testing.T) {
	server := redistest.Start(t, redistest.WithoutPersistence())
	client := clientOf(t, server.URL())
	must(t, client.Ping(t.Context()).Err())
	before := goleak.IgnoreCurrent()
	s := New(client) // never closed: nothing of ours may be left all the same
	for range 3 {
		var hints log
		one, two := s.Subscribe("c", hints.hint), s.Subscribe("d", hints.hint)
		eventually(t, "both stand", func() bool { return hints.count("nil") >= 2 })
		one()
		one() // harmless
		two()
	}
	goleak.VerifyNone(t, before)
}

func TestCloseEndsEverything(t *testing.T) {
	server := redistest.Start(t, redistest.WithoutPersistence())
	hole := redistest.BlackHole(t)
	before := goleak.IgnoreCurrent()
	for _, url := range []string{server.URL(), "redis://" + hole, "redis://127.0.0.1:1"} {
		s, err := Open(t.Context(), url, quick)
		must(t, err)
		s.Subscribe("c", func([]byte) {})
		_ = s.Ping(t.Context())
		_ = s.Close()
		_ = s.Close()
		s.Subscribe("c", func([]byte) { t.Error("a closed store called") })()
		if err := s.Ping(t.Context()); err == nil {
			t.Error("a closed store answered")
		}
	}
	goleak.VerifyNone(t, before)
}

// Subscriptions that come and go at once leave the server with exactly those that stay.
func TestConcurrentSubscriptions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, server.URL())
	admin := clientOf(t, server.URL())
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 200 {
				cancel := s.Subscribe(fmt.Sprint("c:", (i+j)%5), func([]byte) {})
				if j != 199 {
					cancel()
				}
			}
		})
	}
	group.Wait()
	want := map[string]bool{}
	for i := range 8 {
		want[fmt.Sprint("c:", (i+199)%5)] = true
	}
	eventually(t, "the server agrees", func() bool {
		return len(admin.PubSubChannels(t.Context(), "c:*").Val()) == len(want)
	})
	var hints log
	defer s.Subscribe("c:0", hints.hint)()
	eventually(t, "hints arrive", func() bool { _ = s.Publish(t.Context(), "c:0", []byte("p")); return hints.count("p") > 0 })
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := redistest.Start(t)
	bad := redistest.Start(t, redistest.WithoutPersistence(), redistest.WithConfig("maxmemory-policy", "allkeys-lru"), redistest.WithConfig("maxmemory", "100mb"))
	weak := redistest.Start(t, redistest.WithConfig("appendfsync", "everysec"), redistest.WithConfig("maxmemory-policy", "allkeys-lru"))
	replica := redistest.Start(t)
	must(t, clientOf(t, replica.URL()).ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	must(t, clientOf(t, good.URL()).Do(t.Context(), "acl", "setuser", "mute", "on", ">pw", "~*", "&*", "+@all", "-info", "-config", "-time").Err())
	for url, want := range map[string][]Severity{
		good.URL():                     {OK, OK, OK, OK, OK, OK},
		replica.URL():                  {OK, OK, Fail, OK, OK, OK},
		bad.URL():                      {OK, OK, OK, Fail, Fail, OK},
		weak.URL():                     {OK, OK, OK, Warn, Warn, OK},
		"redis://mute:pw@" + good.Addr: {OK, Warn, Warn, Warn, Warn, Warn},
		"redis://127.0.0.1:1":          {Fail},
	} {
		found := opened(t, url).Check(context.Background())
		var got []Severity
		for _, f := range found {
			got = append(got, f.Severity)
			if (f.Advice == "") != (f.Severity == OK) || f.Detail == "" || strings.Contains(f.Detail+f.Advice, "\n") {
				t.Errorf("%s: %+v", url, f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v", url, found)
		}
	}
}
