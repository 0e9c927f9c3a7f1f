package breaker

import (
	"context"
	"sync"
	"time"
)

// limited is a context with a deadline like those of package context, but its timer is made only when somebody asks when
// it is done: drivers mostly ask for the deadline, and hardly any attempt lasts that long.
type limited struct {
	context.Context // the caller's
	at              time.Time

	mu     sync.Mutex
	timed  context.Context // nil until somebody asks
	cancel context.CancelFunc
	over   bool
}

func within(ctx context.Context, d time.Duration) *limited {
	l := &limited{Context: ctx, at: time.Now().Add(d)}
	if at, ok := ctx.Deadline(); ok && at.Before(l.at) {
		l.at = at
	}
	return l
}

// release must be called when the attempt is over: l has ended then.
func (l *limited) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
}

// Deadline implements context.Context.
func (l *limited) Deadline() (time.Time, bool) { return l.at, true }

// Done implements context.Context.
func (l *limited) Done() <-chan struct{} { return l.timer().Done() }

func (l *limited) timer() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(l.Context, l.at)
		if l.over {
			l.cancel()
		}
	}
	return l.timed
}

// Err implements context.Context.
func (l *limited) Err() error {
	l.mu.Lock()
	timed, over := l.timed, l.over
	l.mu.Unlock()
	switch {
	case over:
		return context.Canceled
	case timed != nil:
		return timed.Err()
	case l.Context.Err() != nil:
		return l.Context.Err()
	case !time.Now().Before(l.at):
		return context.DeadlineExceeded
	}
	return nil
}
