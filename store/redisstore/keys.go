package redisstore

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys the server looks at per trip: enough to be quick, too few for others to notice.
const scanCount = 1000

// sharded is a client of several servers, each of which has to be asked.
type sharded interface {
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, master *redis.Client) error) error
}

// Keys implements store.Store with SCAN, on every master in Cluster. The operation timeout bounds each of its trips.
func (d *driver) Keys(ctx context.Context, prefix string) ([]string, error) {
	found := keySet{names: map[string]struct{}{}}
	match := escape(prefix) + "*"
	scan := func(ctx context.Context, c redis.UniversalClient) error { return d.scan(ctx, c, match, &found) }
	client := d.link.client()
	var err error
	if all, ok := client.(sharded); ok {
		err = all.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return scan(ctx, c) })
	} else {
		err = scan(ctx, client)
	}
	if err != nil {
		return nil, failure(ctx, "SCAN", prefix, err)
	}
	return found.list(), nil
}

func (d *driver) scan(ctx context.Context, c redis.UniversalClient, match string, found *keySet) error {
	for cursor := uint64(0); ; {
		names, next, err := d.page(ctx, c, cursor, match)
		if err != nil {
			return err
		}
		found.add(names)
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (d *driver) page(ctx context.Context, c redis.UniversalClient, cursor uint64, match string) ([]string, uint64, error) {
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return c.Scan(ctx, cursor, match, scanCount).Result()
}

// escape takes the meaning from what a glob would interpret.
func escape(prefix string) string { return globs.Replace(prefix) }

var globs = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `\`, `\\`)

// keySet: SCAN may name a key twice, and masters answer concurrently.
type keySet struct {
	mu    sync.Mutex
	names map[string]struct{}
}

func (s *keySet) add(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		s.names[n] = struct{}{}
	}
}

func (s *keySet) list() []string {
	list := make([]string, 0, len(s.names))
	for n := range s.names {
		list = append(list, n)
	}
	return list
}
