package redisstore

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

// cluster starts two masters that share the slots.
func cluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	ctx := t.Context()
	var addrs []string
	var nodes []*redis.Client
	for range 2 {
		s := redistest.Start(t, redistest.WithoutPersistence(), redistest.WithConfig("cluster-enabled", "yes"))
		addrs, nodes = append(addrs, s.Addr), append(nodes, clientOf(t, s.URL()))
	}
	must(t, nodes[0].ClusterAddSlotsRange(ctx, 0, 8191).Err())
	must(t, nodes[1].ClusterAddSlotsRange(ctx, 8192, 16383).Err())
	must(t, nodes[1].Do(ctx, "config", "set", "cluster-announce-ip", "127.0.0.1").Err())
	must(t, nodes[1].Do(ctx, "cluster", "set-config-epoch", 2).Err())
	host, port, _ := net.SplitHostPort(addrs[1])
	must(t, nodes[0].ClusterMeet(ctx, host, port).Err())
	for _, n := range nodes {
		eventually(t, "the cluster agrees", func() bool {
			info, _ := n.ClusterInfo(ctx).Result()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384") &&
				strings.Contains(info, "cluster_known_nodes:2")
		})
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	client := cluster(t)
	conformance.Run(t, func(tb testing.TB) conformance.Instance {
		for _, c := range mastersOf(tb, client) {
			must(tb, c.FlushAll(tb.Context()).Err())
		}
		s := New(client)
		tb.Cleanup(func() { _ = s.Close() })
		return conformance.Instance{Store: s, Advance: advanceAll(tb, client), Reopen: func() store.Store { return s }}
	})
}

// The suite's keys have one tag and live on one node: here they are everywhere.
func TestClusterSpreads(t *testing.T) {
	t.Parallel()
	client := cluster(t)
	s := New(client) // patient: a hint is lost where a slow machine looks like a dead connection
	defer func() { _ = s.Close() }()
	var ops []store.Op
	var want []string
	for i := range 100 {
		key := "k{" + strconv.Itoa(i) + "}"
		want = append(want, key)
		ops = append(ops, store.IncrOp(key), store.ExpireOp(key, hour), store.PublishOp("c", []byte("p")), store.GetOp(key))
	}
	for i, r := range s.Batch(t.Context(), ops) {
		if ops[i].Kind == store.OpGet && string(r.Value) != "1" || r.Err != nil {
			t.Fatalf("%v: %v", ops[i], r)
		}
	}
	got, err := s.Keys(t.Context(), "k{")
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d keys of %d, %v", len(got), len(want), err)
	}
	for i := range 20 { // an index without a tag: set and counter must meet on one node all the same
		must(t, s.Touch(t.Context(), "index"+strconv.Itoa(i), hour, "m"))
	}
	var hints, notices log
	defer s.Notify(notices.notice)()
	defer s.Subscribe("c", hints.hint)()
	eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
	for i := range 20 { // published on either node
		must(t, s.Publish(t.Context(), "c", []byte(strconv.Itoa(i))))
		eventually(t, "the hint arrives", func() bool { return hints.count(strconv.Itoa(i)) == 1 })
	}
	for _, f := range s.Check(t.Context()) {
		if f.Subject != "client" && f.Subject != "persistence" && f.Severity != OK {
			t.Errorf("%+v", f)
		}
	}
}

// go-redis's Cluster client repeats a command whose connection broke, retries switched off or not, unless told otherwise.
func TestClusterSendsNothingTwice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence(), redistest.WithConfig("cluster-enabled", "yes"))
	direct := clientOf(t, server.URL())
	must(t, direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	eventually(t, "the cluster stands", func() bool { return direct.Set(t.Context(), "n", 0, 0).Err() == nil })
	proxy := redistest.StartProxy(t, server.Addr)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		MaxRetries: -1,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: proxy.Addr}}}}, nil
		},
	})
	defer func() { _ = client.Close() }()
	s := New(client)
	defer func() { _ = s.Close() }()
	checkSentOnce(t, s, direct, proxy)
}

// The failover of a shard breaks no connection but its own, and the subscription is on another one.
func TestTheFailoverOfAnyShardIsNoticed(t *testing.T) {
	t.Parallel()
	client := cluster(t)
	keys := map[bool]string{} // by whether they are where the subscription is
	for i := range 100 {
		k := strconv.Itoa(i)
		keys[masterOf(t, client, k) == masterOf(t, client, "c")] = k
	}
	elsewhere := masterOf(t, client, keys[false])
	replica := replicaOf(t, elsewhere)
	s := New(client, quick)
	defer func() { _ = s.Close() }()
	var hints, notices log
	defer s.Notify(notices.notice)()
	defer s.Subscribe("c", hints.hint)()
	eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
	before, mine := looks(t, elsewhere), 0
	eventually(t, "the masters are looked at", func() bool { mine++; return looks(t, elsewhere) > before+mine+1 })
	if n := notices.count("regressed"); n != 0 {
		t.Fatalf("%d times another server, and nothing has happened", n)
	}
	must(t, replica.Do(t.Context(), "cluster", "failover", "takeover").Err())
	eventually(t, "the failover is noticed", func() bool { return notices.count("regressed") > 0 })
}

func masterOf(t *testing.T, client *redis.ClusterClient, key string) *redis.Client {
	c, err := client.MasterForKey(t.Context(), key)
	must(t, err)
	return c
}

// looks counts how often a server was asked who it is.
func looks(t *testing.T, c *redis.Client) (n int) {
	text, err := c.Info(t.Context(), "commandstats").Result()
	must(t, err)
	_, _ = fmt.Sscanf(infoField(text, "cmdstat_info"), "calls=%d", &n)
	return n
}

// replicaOf starts one and waits until it has everything.
func replicaOf(t *testing.T, master *redis.Client) *redis.Client {
	ctx := t.Context()
	server := redistest.Start(t, redistest.WithoutPersistence(), redistest.WithConfig("cluster-enabled", "yes"))
	replica := clientOf(t, server.URL())
	must(t, master.ConfigSet(ctx, "repl-diskless-sync-delay", "0").Err())
	host, port, _ := net.SplitHostPort(master.Options().Addr)
	must(t, replica.ClusterMeet(ctx, host, port).Err())
	id, err := master.ClusterMyID(ctx).Result()
	must(t, err)
	eventually(t, "it knows its master", func() bool { return replica.ClusterReplicate(ctx, id).Err() == nil })
	eventually(t, "it has everything", func() bool {
		info, _ := replica.Info(ctx, "replication").Result()
		return infoField(info, "master_link_status") == "up"
	})
	return replica
}

func mastersOf(tb testing.TB, client *redis.ClusterClient) (all []*redis.Client) {
	tb.Helper()
	var mu sync.Mutex
	must(tb, client.ForEachMaster(tb.Context(), func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		return nil
	}))
	return all
}

func advanceAll(tb testing.TB, client *redis.ClusterClient) func(time.Duration) {
	return func(d time.Duration) {
		for _, c := range mastersOf(tb, client) {
			advance(tb, c)(d)
		}
	}
}
