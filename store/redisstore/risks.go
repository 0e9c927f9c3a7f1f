package redisstore

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// tolerable is how many operation timeouts a client's own timeouts may last before they are a risk.
const tolerable = 5

// risks names what in the settings of a client that is not ours endangers a promise. Retries are not among it: commands
// of this driver refuse them.
func risks(client redis.UniversalClient, timeout time.Duration) []string {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return waits{o.ContextTimeoutEnabled, o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.DialerRetries}.risks(timeout)
	case *redis.ClusterClient:
		o := c.Options()
		found := waits{o.ContextTimeoutEnabled, o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.DialerRetries}.risks(timeout)
		if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
			found = append(found, "reads may go to replicas (ReadOnly, RouteByLatency, RouteRandomly): they are stale")
		}
		return found
	case *redis.Ring:
		return []string{"a Ring moves keys to other shards when one is down, and acknowledged writes with them: use Cluster"}
	}
	return nil
}

// waits is what decides how long an operation may take.
type waits struct {
	heedsDeadlines    bool
	dial, read, write time.Duration
	dialTries         int // 0: go-redis's default
}

func (w waits) risks(timeout time.Duration) (found []string) {
	if !w.heedsDeadlines {
		found = append(found, "ContextTimeoutEnabled is off: operations outlast the deadline of their context")
	}
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"DialTimeout", w.dial}, {"ReadTimeout", w.read}, {"WriteTimeout", w.write}} {
		if t.d <= 0 || t.d >= tolerable*timeout {
			found = append(found, fmt.Sprintf("%s is %v: a server that does not answer may block for that long; use %v", t.name, t.d, timeout))
		}
	}
	if w.dialTries != 1 {
		found = append(found, "DialerRetries is not 1: an operation dials an unreachable server several times")
	}
	return found
}
