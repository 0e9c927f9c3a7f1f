package redisstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// keep holds a connection until ctx ends: session after session, with a growing pause between two that fail.
func (h *hints) keep(ctx context.Context, wake, redo <-chan struct{}) {
	var k keeper
	for ctx.Err() == nil {
		err := h.session(ctx, &k, wake, redo)
		if ctx.Err() != nil {
			return
		}
		k.failed(h, err)
		select {
		case <-ctx.Done():
		case <-time.After(k.pause(h.set)):
		}
	}
}

// keeper is what one keeper remembers from session to session.
type keeper struct {
	failures int
	server   string // the process we were connected to; empty: never, or it does not say
	before   bool   // there was a connection before
}

func (k *keeper) failed(h *hints, err error) {
	k.failures++
	h.news.tell(store.Notice{Kind: store.NoticeFailure, Err: err})
}

// pause doubles from session to session.
func (k *keeper) pause(set settings) time.Duration {
	return min(set.pauseMin<<min(k.failures-1, 10), set.pauseMax)
}

// stands is called when a connection stands and everything was asked for on it.
func (k *keeper) stands(h *hints) {
	if k.failures > 0 {
		k.failures = 0
		h.news.tell(store.Notice{Kind: store.NoticeRestored})
	}
}

var errAnother = errors.New("redisstore: another server process may answer than before")

// lookEvery is how many periods of the subscription's pings pass between two looks at a Cluster's masters.
const lookEvery = 5

// watch looks at the masters now and then, where there are several: the failover of one that does not carry the
// subscription breaks no connection of ours.
func (k *keeper) watch(ctx context.Context, h *hints) {
	if _, ok := h.link.client().(sharded); !ok {
		return
	}
	tick := time.NewTicker(lookEvery * h.set.pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.look(ctx, h)
		}
	}
}

// look tells nothing of masters that do not answer, or do not say who they are: what there is to tell keeps.
func (k *keeper) look(ctx context.Context, h *hints) {
	id, err := identity(ctx, h.link.client(), h.set.timeout)
	if err != nil || id == k.server {
		return
	}
	k.server = id
	h.news.tell(store.Notice{Kind: store.NoticeRegressed, Err: errAnother})
}

// identify compares the server with that of the session before. One that does not say who it is may be another one.
func (k *keeper) identify(ctx context.Context, h *hints) error {
	id, err := identity(ctx, h.link.client(), h.set.timeout)
	if _, refused := errors.AsType[redis.Error](err); err != nil && !refused {
		k.before = true // there was a connection, to whomever
		return failure(ctx, "INFO", "", err)
	}
	if k.before && (id == "" || id != k.server) {
		h.news.tell(store.Notice{Kind: store.NoticeRegressed, Err: errAnother})
	}
	k.server, k.before = id, true
	return nil
}

// identity names the server's process; in Cluster the processes of all masters. It is empty where INFO is refused.
func identity(ctx context.Context, client redis.UniversalClient, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	all, ok := client.(sharded)
	if !ok {
		return runID(ctx, client)
	}
	var mu sync.Mutex
	var ids []string
	err := all.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		id, err := runID(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Sort(ids)
	return strings.Join(ids, " "), nil
}

func runID(ctx context.Context, c redis.UniversalClient) (string, error) {
	text, err := c.Info(ctx, "server").Result()
	return infoField(text, "run_id"), err
}

// infoField finds a line name:value in the answer of INFO.
func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
