package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

// TestMutants: each broken variant fails the check of the rule that it breaks.
func TestMutants(t *testing.T) {
	with := func(more ...breaker.Option) build {
		return func(s store.Store, opts ...breaker.Option) store.Store {
			return breaker.Wrap(s, append(opts, more...)...)
		}
	}
	tests := []struct {
		name  string
		check func(build, plan) error
		build build
	}{
		{"R14: a retry loop without a breaker, B1", checkB1, retryLoop},
		{"R14: a retry loop without a breaker, B3", checkB3, retryLoop},
		{"trips at the sixth failure", checkB1, with(breaker.FailureThreshold(6))},
		{"opens for 60 s", checkB1, with(breaker.OpenTime(time.Minute))},
		{"a probe without a deadline", checkB1, with(breaker.AttemptTimeout(never), breaker.KeysTimeout(never))},
		{"one retry fewer: 8 s is never used", checkB2, with(breaker.Retries(3))},
		{"the longest delay is 4 s", checkB2, with(breaker.Delays(time.Second, 4*time.Second))},
		{"a backoff that the context does not end", checkB4, above(func(s store.Store) store.Store { return deaf{s} })},
		{"a driver's not-found in another guise", checkB5, below(func(s store.Store) store.Store { return opaque{s} })},
		{"an operation that hides its caller's end", checkB5, above(func(s store.Store) store.Store { return deaf{s} })},
		{"beats are gated like everything else", checkB6, above(func(s store.Store) store.Store { return gated{s} })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := finds(t, tt.check, tt.build)
			if found == nil {
				t.Fatal("not found")
			}
			t.Logf("counted 1 mutants: %v", found)
		})
	}
}

func above(f func(store.Store) store.Store) build {
	return func(s store.Store, opts ...breaker.Option) store.Store { return f(breaker.Wrap(s, opts...)) }
}

func below(f func(store.Store) store.Store) build {
	return func(s store.Store, opts ...breaker.Option) store.Store { return breaker.Wrap(f(s), opts...) }
}

// retryLoop is what often goes by the name of circuit breaker.
func retryLoop(s store.Store, _ ...breaker.Option) store.Store { return loop{s} }

type loop struct{ store.Store }

func (l loop) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return l.retry(func() error { return l.Store.SetEX(ctx, key, value, ttl) })
}

func (l loop) Incr(ctx context.Context, key string) (n int64, err error) {
	err = l.retry(func() (err error) { n, err = l.Store.Incr(ctx, key); return err })
	return n, err
}

func (l loop) retry(f func() error) (err error) {
	for i := range 5 {
		if err = f(); err == nil || store.Permanent(err) {
			return err
		}
		if i < 4 {
			time.Sleep(time.Second << i)
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// deaf keeps the caller's end from what it wraps.
type deaf struct{ store.Store }

func (d deaf) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return d.Store.SetEX(context.WithoutCancel(ctx), key, value, ttl)
}

func (d deaf) Incr(ctx context.Context, key string) (int64, error) {
	return d.Store.Incr(context.WithoutCancel(ctx), key)
}

// opaque loses what an error is.
type opaque struct{ store.Store }

func (o opaque) Incr(ctx context.Context, key string) (int64, error) {
	n, err := o.Store.Incr(ctx, key)
	if err != nil {
		err = errors.New(err.Error())
	}
	return n, err
}

// gated has no other way for beats.
type gated struct{ store.Store }

func (g gated) Capabilities() store.Capabilities { return store.Capabilities{Once: g.Store} }
