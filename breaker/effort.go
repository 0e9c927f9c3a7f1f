package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker/v2"

	"github.com/blocking-coordination/coord/store"
)

// effort is one operation on its way through a gate.
type effort struct {
	gate    *gate
	ctx     context.Context
	call    call
	attempt attemptFunc

	attempts int
	failure  error // of the last attempt that failed
	result   error // nil, or what the caller gets
}

func (g *gate) do(ctx context.Context, c call, attempt attemptFunc) error {
	e := &effort{gate: g, ctx: ctx, call: c, attempt: attempt}
	defer g.notices.flush()
	if e.step() == nil {
		return e.result
	}
	return e.retry()
}

// retry hands over to backoff after the first attempt, which hardly any operation gets beyond: it is not worth building
// a schedule before.
func (e *effort) retry() error {
	next := func() error { return errFailed } // the first attempt, as it was
	err := backoff.RetryNotify(func() error {
		step := next
		next = e.step
		return step()
	}, e.gate.schedule(e.ctx), e.pausing)
	if err == nil {
		return e.result
	}
	if cause := ended(e.ctx); cause != nil { // B4
		return cause
	}
	return e.unavailable("")
}

// step is what backoff repeats: nil when there is nothing to repeat, whatever the outcome.
func (e *effort) step() error {
	if e.result = ended(e.ctx); e.result != nil { // B4
		return nil
	}
	tried := e.attempts
	_, err := e.gate.cb.Execute(e.once)
	switch {
	case e.attempts == tried: // B3: gobreaker refused
		e.result = e.unavailable(refusal(err))
		return nil
	case err != errFailed:
		return nil
	case e.gate.cb.State() == gobreaker.StateOpen: // B3: no pause for an attempt that would be refused
		e.result = e.unavailable("")
		return nil
	}
	return errFailed
}

// once is what gobreaker counts.
func (e *effort) once() (struct{}, error) {
	e.attempts++
	e.result = e.call.try(e.ctx, e.attempt)
	v := judge(e.result)
	switch {
	case v == failed && ended(e.ctx) != nil:
		v = silent // B5: the caller's own end
	case v == failed:
		e.failure = e.result
	}
	return struct{}{}, e.gate.record(v, e.result)
}

// pausing is called before each pause.
func (e *effort) pausing(_ error, delay time.Duration) {
	e.gate.notices.add(store.Notice{Kind: store.NoticeRetry, Attempt: e.attempts, Delay: delay, Err: e.failure})
	e.gate.notices.flush()
}

func refusal(err error) string {
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ", a probe is under way"
	}
	return ", the breaker is open"
}

// unavailable is the error of an operation that is given up.
func (e *effort) unavailable(why string) error {
	cause, probeAt := e.gate.outlook()
	if e.failure != nil {
		cause = e.failure
	}
	if wait := time.Until(probeAt); wait > 0 {
		why += fmt.Sprintf(", next probe in %v", wait.Round(time.Millisecond))
	}
	what := fmt.Sprintf("%s %q: %s%s", e.call.op, e.call.key, tries(e.attempts), why)
	if cause == nil {
		return fmt.Errorf("%w: %s", store.ErrUnavailable, what)
	}
	return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, what, cause)
}

func tries(n int) string {
	switch n {
	case 0:
		return "not attempted"
	case 1:
		return "1 attempt failed"
	}
	return fmt.Sprintf("%d attempts failed", n)
}
