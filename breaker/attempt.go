package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// verdict is what an attempt's error says about the store's health, the gravest last.
type verdict uint8

const (
	silent   verdict = iota // nothing: the driver may have refused by itself, without asking the server
	answered                // it is well
	failed                  // it did not answer
)

// judge tells what err says. B5: what no retry mends is not a failure.
func judge(err error) verdict {
	switch {
	case err == nil:
		return answered
	case isAny(err, store.ErrInvalidTTL, store.ErrDenied, errors.ErrUnsupported, errNoAnswer):
		return silent
	case store.Permanent(err):
		return answered
	}
	return failed
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// ended returns why ctx has ended, or nil. A driver that turns ctx's deadline into one of its connection may notice it a
// moment before the context does, so the deadline itself is asked too.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return nil
}

// try makes one attempt with a deadline of its own. A failure while the caller's context is over is the caller's.
func (c call) try(ctx context.Context, attempt attemptFunc) error {
	if err := ended(ctx); err != nil {
		return err
	}
	own := within(ctx, c.limit)
	err := attempt(own)
	own.release()
	if judge(err) != failed {
		return err
	}
	if cause := ended(ctx); cause != nil {
		return cause
	}
	return c.unmask(err)
}

// unmask hides the context errors of the attempt's own deadline: to the caller they would look like his.
func (c call) unmask(err error) error {
	if isAny(err, context.DeadlineExceeded, context.Canceled) {
		return fmt.Errorf("breaker: no answer within %v: %v", c.limit, err) // hidden on purpose
	}
	return err
}

// single does an operation in one attempt. B6: it waits for nobody, and nobody hears of it.
type single struct{}

func (single) do(ctx context.Context, c call, attempt attemptFunc) error {
	return c.try(ctx, attempt)
}
