package redisstore

import (
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

func borrow(client redis.UniversalClient) *link {
	l := &link{}
	l.current.Store(holder{client})
	return l
}

func (l *link) client() redis.UniversalClient { return l.current.Load().(holder).UniversalClient }

// renew drops the pool, so that the next operation resolves the name again, and reports whether it did. A borrowed client
// drops connections to a read-only server itself, one by one, or follows its Sentinel or Cluster.
func (l *link) renew() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dial == nil || l.closed || time.Since(l.renewed) < renewPause {
		return false
	}
	l.renewed = time.Now()
	old := l.client()
	l.current.Store(holder{l.dial()})
	_ = old.Close()
	return true
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
