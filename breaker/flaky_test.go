package breaker_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

var errDown = errors.New("connection refused")

// never is longer than any test's patience.
const never = 1000 * time.Hour

// answer is how the flaky store meets one attempt.
type answer struct {
	err   error
	after time.Duration // never: it hangs until the attempt's context ends
}

// span is when one attempt was under way, since the store was made.
type span struct{ from, to time.Duration }

// flaky is a memory store that answers by a script, then by the rest. Its Append and Batch follow it too.
type flaky struct {
	store.Store
	start time.Time

	mu     sync.Mutex
	script []answer
	rest   answer
	spans  []span
}

func newFlaky(rest answer, script ...answer) *flaky {
	return &flaky{Store: memstore.New(), start: time.Now(), script: script, rest: rest}
}

func (f *flaky) set(rest answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest, f.script = rest, nil
}

func (f *flaky) attempts() []span {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]span(nil), f.spans...)
}

func (f *flaky) meet(ctx context.Context) error {
	n, a := f.begin()
	defer f.end(n)
	if a.after > 0 {
		timer := time.NewTimer(a.after)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return a.err
}

func (f *flaky) begin() (int, answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, a := len(f.spans), f.rest
	if n < len(f.script) {
		a = f.script[n]
	}
	f.spans = append(f.spans, span{time.Since(f.start), -1})
	return n, a
}

func (f *flaky) end(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spans[n].to = time.Since(f.start)
}

func (f *flaky) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := f.meet(ctx); err != nil {
		return err
	}
	return f.Store.SetEX(ctx, key, value, ttl)
}

func (f *flaky) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.meet(ctx); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, key)
}

func (f *flaky) Incr(ctx context.Context, key string) (int64, error) {
	if err := f.meet(ctx); err != nil {
		return 0, err
	}
	return f.Store.Incr(ctx, key)
}

func (f *flaky) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if err := f.meet(ctx); err != nil {
		return false, err
	}
	return f.Store.Expire(ctx, key, ttl)
}

func (f *flaky) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := f.meet(ctx); err != nil {
		return nil, err
	}
	return f.Store.Keys(ctx, prefix)
}

// op is one of the operations, chosen by number, so that tests draw it. It succeeds where the store answers.
func op(ctx context.Context, s store.Store, n int) error {
	var err error
	switch n % 5 {
	case 0:
		err = s.SetEX(ctx, "k", []byte("v"), time.Hour)
	case 1:
		_, err = s.Incr(ctx, "n")
	case 2:
		_, err = s.Expire(ctx, "k", time.Hour)
	case 3:
		_, err = s.Keys(ctx, "k")
	case 4:
		if _, err = s.Get(ctx, "k"); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	}
	return err
}
