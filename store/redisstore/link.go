package redisstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// renewPause bounds how often a pool is dropped: a server that stays read-only is asked again at this pace.
const renewPause = time.Second

// link holds a client that can be replaced by a fresh one while others use it.
type link struct {
	dial      func() redis.UniversalClient // nil: borrowed, never replaced and never closed
	onDemoted func()                       // called by whoever finds the server read-only
	timeout   time.Duration                // of dropping connections one by one

	mu      sync.Mutex
	current atomic.Value // of holder
	renewed time.Time
	closed  bool
}

// holder keeps the dynamic type in current the same whatever the client is.
type holder struct{ redis.UniversalClient }

func newLink(dial func() redis.UniversalClient) *link {
	l := &link{dial: dial}
	l.current.Store(holder{dial()})
	return l
}

func borrow(client redis.UniversalClient, timeout time.Duration) *link {
	l := &link{timeout: timeout}
	l.current.Store(holder{client})
	return l
}

func (l *link) client() redis.UniversalClient { return l.current.Load().(holder).UniversalClient }

// renew drops the pool, so that the next operation resolves the name again, and reports whether it did. Of a borrowed
// client for one server it drops the idle connections, and one in use goes when it meets READONLY (see once); the other
// clients follow their Cluster.
func (l *link) renew() bool {
	if !l.due() {
		return false
	}
	if l.dial == nil {
		return l.sweep()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	old := l.client()
	l.current.Store(holder{l.dial()})
	_ = old.Close()
	return true
}

func (l *link) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.renewed) < renewPause {
		return false
	}
	l.renewed = time.Now()
	return true
}

// sweep drops the idle connections of a client for one server, and reports whether it is one.
func (l *link) sweep() bool {
	client, ok := l.client().(*redis.Client)
	if ok {
		ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
		defer cancel()
		dropIdle(ctx, client)
		dropPipelines(ctx, client)
	}
	return ok
}

// demoted reports a read-only server.
func (l *link) demoted() {
	if l.onDemoted != nil {
		l.onDemoted()
	}
}

func (l *link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dial == nil || l.closed {
		return nil
	}
	l.closed = true
	return l.client().Close()
}
