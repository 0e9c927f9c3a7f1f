package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(answer{err: errDown})
		b := breaker.Wrap(f)
		expect(t, op(t.Context(), b, 1), `store: unavailable: Incr "n": 5 attempts failed, next probe in 5s: connection refused`)
		time.Sleep(time.Second)
		expect(t, op(t.Context(), b, 0),
			`store: unavailable: SetEX "k": not attempted, the breaker is open, next probe in 4s: connection refused`)
		f.set(answer{errDown, never})
		time.Sleep(4*time.Second + 1)
		go func() { _ = op(t.Context(), b, 0) }()
		synctest.Wait()
		expect(t, op(t.Context(), b, 4),
			`store: unavailable: Get "k": not attempted, a probe is under way: connection refused`)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, op(t.Context(), b, 3), `store: unavailable: Keys "k": not attempted, the breaker is open, next probe in 5s: `+
			`breaker: no answer within 1s: context deadline exceeded`)
	})
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if !errors.Is(err, store.ErrUnavailable) || store.Permanent(err) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it is not what it says: %v", err)
	}
}

// An error that others made for backoff or for gobreaker means nothing to ours.
func TestForeignErrorsAreOnlyFailures(t *testing.T) {
	for _, err := range []error{backoff.Permanent(errDown), fmt.Errorf("no: %w", context.Canceled), store.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlaky(answer{err: err})
			if err := op(t.Context(), breaker.Wrap(f), 0); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if n := len(f.attempts()); n != 5 {
				t.Errorf("%v: %d attempts", err, n)
			}
		})
	}
}

// A caller that is over before it begins costs nothing, and says so even when the breaker is open.
func TestAContextThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(answer{err: errDown})
		b := breaker.Wrap(f)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errEnough)
		for range 2 {
			before := len(f.attempts())
			for _, s := range []store.Store{b, b.Once()} {
				if err := op(ctx, s, 0); !errors.Is(err, errEnough) || len(f.attempts()) != before {
					t.Errorf("got %v after %d attempts", err, len(f.attempts())-before)
				}
			}
			_ = op(t.Context(), b, 0)
		}
	})
}

// hasty notices a deadline on its connection before the context does.
type hasty struct{ store.Store }

func (h hasty) SetEX(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	d, _ := ctx.Deadline()
	time.Sleep(time.Until(d))
	return errors.New("i/o timeout")
}

// slow is a context whose timer is late.
type slow struct{ context.Context }

func (slow) Done() <-chan struct{} { return nil }
func (slow) Err() error            { return nil }

func TestADeadlineThatTheDriverNoticesFirstIsTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		b := breaker.Wrap(hasty{newFlaky(answer{})}, breaker.FailureThreshold(1))
		if err := op(slow{ctx}, b, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := op(t.Context(), b, 1); err != nil {
			t.Errorf("it counted: %v", err)
		}
	})
}

// panicking is a driver with a bug.
type panicking struct{ store.Store }

func (panicking) Incr(context.Context, string) (int64, error) { panic("bug") }

func TestAPanicPassesAndCounts(t *testing.T) {
	b := breaker.Wrap(panicking{newFlaky(answer{})}, breaker.FailureThreshold(1))
	func() {
		defer func() {
			if r := recover(); r != "bug" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = op(t.Context(), b, 1)
	}()
	if err := op(t.Context(), b, 0); err == nil || !strings.Contains(err.Error(), "breaker is open") {
		t.Errorf("got %v", err)
	}
}

// partial is a store of which one operation fails.
type partial struct{ store.Store }

func (partial) Incr(context.Context, string) (int64, error) { return 0, errDown }

// Others' successes reset the count, so the breaker stays closed; the error still says what went wrong for this one.
func TestOthersSuccessesResetTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.Wrap(partial{newFlaky(answer{})})
		for range 2 {
			done := make(chan error)
			go func() { done <- op(t.Context(), b, 1) }()
			for range 14 {
				time.Sleep(time.Second)
				synctest.Wait()
				if err := op(t.Context(), b, 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-done; !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			} else if want := `store: unavailable: Incr "n": 5 attempts failed: connection refused`; err.Error() != want {
				t.Errorf("got %v", err)
			}
		}
	})
}

// An operation that is stopped by the breaker tells its own last failure, not that of those who opened it.
func TestTheOwnFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.Wrap(newFlaky(answer{err: errors.New("of others")}, answer{err: errDown}))
		done := make(chan error)
		go func() { done <- op(t.Context(), b, 0) }()
		synctest.Wait()
		_ = together(4, func() error { return op(t.Context(), b, 1) })
		expect(t, <-done, `store: unavailable: SetEX "k": 1 attempt failed, the breaker is open, next probe in 4s: connection refused`)
	})
}
