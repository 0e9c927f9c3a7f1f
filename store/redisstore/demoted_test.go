package redisstore

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

const warmed = 3 // connections of a kind, to the server that is demoted

// failover is a client of somebody else's, which finds its server by a name.
type failover struct {
	client *redis.Client
	name   atomic.Value     // the address that it stands for
	old    *redis.Client    // past the name and the proxy
	proxy  *redistest.Proxy // to the old server
	next   string
}

func newFailover(t *testing.T, change func(*redis.Options)) *failover {
	a, b := redistest.Start(t, redistest.WithoutPersistence()), redistest.Start(t, redistest.WithoutPersistence())
	f := &failover{old: clientOf(t, a.URL()), proxy: redistest.StartProxy(t, a.Addr), next: b.Addr}
	must(t, f.old.Set(t.Context(), "k", "stale", 0).Err())
	must(t, clientOf(t, b.URL()).Set(t.Context(), "k", "new", 0).Err())
	f.name.Store(f.proxy.Addr)
	o := &redis.Options{ContextTimeoutEnabled: true, Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, f.name.Load().(string))
	}}
	change(o)
	f.client = redis.NewClient(o)
	t.Cleanup(func() { _ = f.client.Close() })
	return f
}

func asItIs(*redis.Options) {}

// warm leaves idle connections behind, some of lone operations and some of batches.
func (f *failover) warm(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	defer all.Wait()
	f.proxy.Hold() // nobody is done before everybody has a connection
	defer f.proxy.Release()
	for range warmed {
		all.Go(func() { _, _ = s.Get(t.Context(), "k") })
		all.Go(func() { store.Batch(t.Context(), s, []store.Op{store.GetOp("k"), store.GetOp("k")}) })
	}
	eventually(t, "everybody has a connection", func() bool { return f.connections() >= 2*warmed })
}

func (f *failover) connections() int {
	stats := f.client.PoolStats()
	n := int(stats.TotalConns)
	if stats.PipelineStats != nil {
		n += int(stats.PipelineStats.TotalConns)
	}
	return n
}

// happen makes the old server a replica, and lets the name stand for the next one.
func (f *failover) happen(t *testing.T) {
	must(t, f.old.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	f.name.Store(f.next)
}

// beat is what a heartbeat does: something is read, and then it is written.
func beat(t *testing.T, s store.Store) (read store.Result, wrote error) {
	r := store.Batch(t.Context(), s, []store.Op{store.GetOp("k"), store.SetEXOp("heartbeat", nil, hour)})
	return r[0], r[1].Err
}

// A client that is not ours keeps its pools: whoever meets READONLY, in whatever, has its idle connections to the demoted
// server dropped. Otherwise every beat would meet another one, and reads would be stale for as long as the process lives.
func TestABorrowedClientLeavesADemotedServer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*redis.Options){
		"pipelines apart": asItIs,
		"one pool":        func(o *redis.Options) { o.PipelinePoolSize = -1 },
		"kept warm":       func(o *redis.Options) { o.MinIdleConns, o.PoolSize = warmed, 4*warmed },
	} {
		for op, meet := range map[string]func(*testing.T, store.Store) error{
			"a beat":       func(t *testing.T, s store.Store) error { _, err := beat(t, s); return err },
			"a lone write": func(t *testing.T, s store.Store) error { return s.SetEX(t.Context(), "k2", nil, hour) },
		} {
			t.Run(name+", "+op, func(t *testing.T) {
				t.Parallel()
				f := newFailover(t, change)
				s := New(f.client, WithTimeout(patience))
				defer func() { _ = s.Close() }()
				var hints, notices log
				defer s.Notify(notices.notice)()
				defer s.Subscribe("c", hints.hint)()
				eventually(t, "the subscription stands", func() bool { return hints.count("nil") > 0 })
				once := s.Capabilities().Once
				f.warm(t, once)
				f.happen(t)
				if err := meet(t, once); err == nil || store.Permanent(err) {
					t.Fatalf("a read-only server: %v", err)
				}
				if read, err := beat(t, once); err != nil || string(read.Value) != "new" {
					t.Fatalf("the next beat read %q, %v", read.Value, err)
				}
				eventually(t, "nobody is left at the demoted server", func() bool {
					return strings.Contains(f.old.Info(t.Context(), "clients").Val(), "connected_clients:1\r\n")
				})
				eventually(t, "the subscription tells of another server", func() bool { return notices.count("regressed") == 1 })
			})
		}
	}
}

// Idle connections are not dropped at every READONLY. The one that met it is, and what was read on it fails: it is stale.
func TestEveryReadOnlyTripDropsItsConnection(t *testing.T) {
	t.Parallel()
	f := newFailover(t, asItIs)
	s := New(f.client, WithTimeout(patience))
	defer func() { _ = s.Close() }()
	f.warm(t, s.once)
	f.happen(t)
	s.link.renewed = time.Now().Add(hour)
	for range warmed {
		if read, err := beat(t, s.once); err == nil || read.Err == nil {
			t.Fatalf("read %q, %v and wrote %v on a read-only server", read.Value, read.Err, err)
		}
	}
	if read, err := beat(t, s.once); err != nil || string(read.Value) != "new" {
		t.Fatalf("read %q, %v, when no connection to the demoted server is left", read.Value, err)
	}
}
