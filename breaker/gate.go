package breaker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker/v2"

	"github.com/blocking-coordination/coord/store"
)

// gate is the runner that retries, and the breaker that all operations share. Its states are gobreaker's.
type gate struct {
	cfg     config
	cb      *gobreaker.CircuitBreaker[struct{}]
	notices *notices

	mu      sync.Mutex // taken by onStateChange under gobreaker's lock: never call gobreaker with it held
	cause   error      // the last failure, nil after an answer
	probeAt time.Time  // when an open breaker lets the next probe through
}

// What gobreaker is told about an attempt that is not a success. The attempt's own error does not pass through it, nor
// through backoff, which would both look inside.
var (
	errFailed = errors.New("breaker: failed")
	errSilent = errors.New("breaker: says nothing")
)

func newGate(cfg config, n *notices) *gate {
	g := &gate{cfg: cfg, notices: n}
	g.cb = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   1, // one probe
		Timeout:       cfg.openTime,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= cfg.threshold },
		IsExcluded:    func(err error) bool { return err == errSilent }, // frees the probe's place: the next is the probe
		OnStateChange: g.onStateChange,
	})
	return g
}

func (g *gate) onStateChange(_ string, _, to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		g.mu.Lock()
		g.probeAt = time.Now().Add(g.cfg.openTime)
		g.mu.Unlock()
		g.notices.add(store.Notice{Kind: store.NoticeOpen})
	case gobreaker.StateHalfOpen:
		g.notices.add(store.Notice{Kind: store.NoticeHalfOpen})
	case gobreaker.StateClosed:
		g.notices.add(store.Notice{Kind: store.NoticeClosed})
	}
}

// schedule is the pauses of one operation: B2, 1, 2, 4, 8 s and no more, by default.
func (g *gate) schedule(ctx context.Context) backoff.BackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: g.cfg.firstDelay,
		Multiplier:      delayFactor,
		MaxInterval:     g.cfg.maxDelay,
		Stop:            backoff.Stop,
		Clock:           backoff.SystemClock,
	}
	return backoff.WithContext(backoff.WithMaxRetries(b, uint64(g.cfg.retries)), ctx)
}

// record keeps the outcome of an attempt and tells the listeners; gobreaker then hears of it by the returned error.
func (g *gate) record(v verdict, err error) error {
	switch v {
	case failed:
		g.notices.add(store.Notice{Kind: store.NoticeFailure, Err: err})
		g.swapCause(err)
		return errFailed
	case answered:
		if g.swapCause(nil) != nil {
			g.notices.add(store.Notice{Kind: store.NoticeRestored})
		}
		return nil
	}
	return errSilent
}

func (g *gate) swapCause(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.cause
	g.cause = err
	return was
}

func (g *gate) outlook() (cause error, probeAt time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause, g.probeAt
}
