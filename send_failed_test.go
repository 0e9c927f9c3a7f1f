package coord_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

var errShutDown = errors.New("shutting down")

// shutDown ends after d, for a cause of its own.
func shutDown(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	if d == 0 {
		cancel(errShutDown)
	}
	time.AfterFunc(d, func() { cancel(errShutDown) })
	return ctx
}

// TestASendThatEndsByItselfBlamesNobody: the store is healthy, or was not even asked to take the signal.
func TestASendThatEndsByItselfBlamesNobody(t *testing.T) {
	in(t, func(t *testing.T) {
		a := joinOn(t, breaker.Wrap(newUnsteady()), "coord-a", coord.Config{})
		for name, c := range map[string]struct {
			ctx    context.Context
			within time.Duration
			end    error
		}{
			"cancelled":        {shutDown(t, time.Second), time.Minute, errShutDown},
			"cancelled before": {shutDown(t, 0), time.Minute, errShutDown},
			"no time":          {t.Context(), 0, coord.ErrTimeout},
		} {
			_, err := a.Send(c.ctx, "coord-b", "wake", nil, coord.Within(c.within))
			if !errors.Is(err, coord.ErrNoAck) || !errors.Is(err, c.end) || errors.Is(err, coord.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestASendInAnOutageBlamesTheStore, also where it ended before the breaker had given up, or was not to wait at all.
func TestASendInAnOutageBlamesTheStore(t *testing.T) {
	in(t, func(t *testing.T) {
		bare, behind := newUnsteady(), newUnsteady()
		for name, a := range map[string]*coord.Coordinator{
			"bare":    joinOn(t, bare, "coord-a", coord.Config{}),
			"breaker": joinOn(t, breaker.Wrap(behind), "coord-a", coord.Config{}),
		} {
			bare.down.Store(true)
			behind.down.Store(true)
			for _, within := range []time.Duration{0, 5 * time.Second, time.Minute} {
				_, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(within))
				if !errors.Is(err, coord.ErrNoAck) || !errors.Is(err, coord.ErrTimeout) || !errors.Is(err, coord.ErrUnavailable) {
					t.Errorf("%s, within %v: %v", name, within, err)
				}
			}
			bare.down.Store(false)
			behind.down.Store(false)
		}
	})
}

// TestPostWithoutABreaker: what is neither an answer of the store nor the end of ctx is ErrUnavailable.
func TestPostWithoutABreaker(t *testing.T) {
	in(t, func(t *testing.T) {
		u := newUnsteady()
		a := joinOn(t, u, "coord-a", coord.Config{})
		u.down.Store(true)
		if _, err := a.Post(t.Context(), "coord-b", "wake", nil); !errors.Is(err, coord.ErrUnavailable) || !errors.Is(err, errDown) {
			t.Error(err)
		}
		_, err := a.Post(shutDown(t, 0), "coord-b", "wake", nil)
		if !errors.Is(err, errShutDown) || !errors.Is(err, context.Canceled) || errors.Is(err, coord.ErrUnavailable) {
			t.Error(err)
		}
		refused := joinOn(t, &noMail{Store: memstore.New()}, "coord-a", coord.Config{})
		if _, err := refused.Post(t.Context(), "coord-b", "wake", nil); !errors.Is(err, store.ErrDenied) || errors.Is(err, coord.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// noMail refuses what goes to a mailbox.
type noMail struct{ store.Store }

func (d *noMail) Incr(ctx context.Context, key string) (int64, error) {
	if strings.Contains(key, "coord-b") {
		return 0, store.ErrDenied
	}
	return d.Store.Incr(ctx, key)
}

// TestWhatIsNotEvenTriedIsToldOf: a full mailbox must not be invisible. What is refused for what it is, is no signal.
func TestWhatIsNotEvenTriedIsToldOf(t *testing.T) {
	in(t, func(t *testing.T) {
		seen := &record{}
		a := joinOn(t, memstore.New(), "coord-a", coord.Config{Observer: seen, MailboxLimit: 1})
		must(a.Post(t.Context(), "coord-b", "wake", nil))
		both := func(to string, payload []byte) {
			_, _ = a.Post(t.Context(), to, "wake", payload)
			_, _ = a.Send(t.Context(), to, "wake", payload)
		}
		both("coord-b", nil)
		both("no id", nil)
		both("coord-c", make([]byte, 1<<20))
		_ = a.Leave(t.Context())
		both("coord-c", nil)
		failed := of[coord.SignalFailed](seen)
		if len(failed) != 4 {
			t.Fatalf("told: %v", failed)
		}
		for i, why := range []error{coord.ErrMailboxFull, coord.ErrMailboxFull, coord.ErrClosed, coord.ErrClosed} {
			if e := failed[i]; !errors.Is(e.Err, why) || e.From != "coord-a" || e.To == "" || e.Type != "wake" {
				t.Errorf("%+v, want %v", e, why)
			}
		}
	})
}
