package conformance

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// Times to live for rules in which nothing expires, or in which the margins are as coarse as they can be: a slow
// machine may take seconds for a check, and on a real server these count.
const (
	minute = time.Minute
	hour   = time.Hour
)

// probe is what a check works with: its testing.TB, and a fresh instance behind helpers that fail it.
type probe struct {
	testing.TB
	ctx      context.Context
	instance Instance
	mode     mode
	store    store.Store        // the driver, or store.Batch in front of it
	caps     store.Capabilities // the driver's own
	patience time.Duration
	insist   time.Duration
	done     *atomic.Int64 // operations, of all clients
	began    time.Time
	slow     bool // what has failed took too long
}

// client is what a check reaches a driver by.
func (p *probe) client(s store.Store) store.Store { return p.mode.wrap(counted{s, p.done}) }

// both are two clients of the same data where there may be two, or the one.
func (p *probe) both() []*probe {
	if p.instance.Reopen == nil {
		return []*probe{p}
	}
	return []*probe{p, p.second()}
}

// key returns a key, index or channel below KeyPrefix. All of them have one hash tag, so that one batch keeps its order.
func key(name string) string { return KeyPrefix + "{t}" + name }

func (p *probe) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("unexpected error: %v", err)
	}
}

func (p *probe) wantError(what string, err, want error) {
	p.Helper()
	if !errors.Is(err, want) {
		p.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

func (p *probe) advance(d time.Duration) { p.instance.Advance(d) }

func (p *probe) setex(key, value string, ttl time.Duration) {
	p.Helper()
	p.must(p.store.SetEX(p.ctx, key, []byte(value), ttl))
}

func (p *probe) incr(key string) int64 {
	p.Helper()
	n, err := p.store.Incr(p.ctx, key)
	p.must(err)
	return n
}

func (p *probe) wantIncr(key string, want int64) {
	p.Helper()
	if n := p.incr(key); n != want {
		p.Fatalf("Incr(%q) = %d, want %d", key, n, want)
	}
}

func (p *probe) wantExpire(key string, ttl time.Duration, want bool) {
	p.Helper()
	ok, err := p.store.Expire(p.ctx, key, ttl)
	p.must(err)
	if ok != want {
		p.Fatalf("Expire(%q, %v) = %t, want %t", key, ttl, ok, want)
	}
}

func (p *probe) wantValue(key, want string) {
	p.Helper()
	got, err := p.store.Get(p.ctx, key)
	if err != nil {
		p.Fatalf("Get(%q): %v, want %s", key, err, brief([]byte(want)))
	}
	if string(got) != want {
		p.Fatalf("Get(%q) = %s, want %s", key, brief(got), brief([]byte(want)))
	}
}

// wantMissing asks Get and Keys alike: an absent key is absent everywhere.
func (p *probe) wantMissing(key string) {
	p.Helper()
	value, err := p.store.Get(p.ctx, key)
	if !errors.Is(err, store.ErrNotFound) {
		p.Fatalf("Get(%q) = %s, %v; want store.ErrNotFound", key, brief(value), err)
	}
	if slices.Contains(p.keys(key), key) {
		p.Fatalf("Keys returns %q, which Get does not find", key)
	}
}

func (p *probe) keys(prefix string) []string {
	p.Helper()
	keys, err := p.store.Keys(p.ctx, prefix)
	p.must(err)
	slices.Sort(keys)
	return keys
}

// wantKeys demands exactly these keys, each once.
func (p *probe) wantKeys(prefix string, want ...string) {
	p.Helper()
	slices.Sort(want)
	if got := p.keys(prefix); !slices.Equal(got, want) {
		p.Fatalf("Keys(%q) = %q, want %q", prefix, got, want)
	}
}

// each calls f n times at once, with 0 to n-1, and fails with the first error.
func (p *probe) each(n int, f func(i int) error) {
	p.Helper()
	errs := make([]error, n)
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	group.Wait()
	for _, err := range errs {
		p.must(err)
	}
}

// often calls f n times at least, with 0 and so on, and then until it has insisted.
func (p *probe) often(n int, f func(round int)) {
	began := time.Now()
	for i := 0; i < n || time.Since(began) < p.insist; i++ {
		f(i)
	}
}

// meanwhile runs reader once, while writers work again and again until it has returned. The reader's context ends when
// a writer fails.
func (p *probe) meanwhile(reader func(context.Context) error, writer func(client int) error) {
	p.Helper()
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	p.each(clients, func(i int) error {
		defer stop()
		if i == 0 {
			return reader(ctx)
		}
		for ctx.Err() == nil {
			if err := writer(i); err != nil {
				return err
			}
			runtime.Gosched() // a store in memory never waits: the reader would not get a turn
		}
		return nil
	})
}

// wantNumbers demands 1..len(got), each once, in any order.
func (p *probe) wantNumbers(got []int64) {
	p.Helper()
	slices.Sort(got)
	for i, n := range got {
		if n != int64(i+1) {
			p.Fatalf("the %d numbers returned are not 1 to %d, each once: place %d holds %d", len(got), len(got), i+1, n)
		}
	}
}

// brief keeps a failure readable where values are large.
func brief(b []byte) string {
	const limit = 40
	if len(b) <= limit {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(string(b[:limit])) + "…"
}

// scribble writes to all of b, and behind it where it may grow: append would.
func scribble(b []byte) { copy(b[:cap(b)], bytes.Repeat([]byte{'#'}, cap(b))) }
