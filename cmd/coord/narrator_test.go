package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

func TestTheNarratorTellsAnOutageOnce(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out)
	n.now = func() time.Time { return time.Date(2026, 1, 2, 15, 23, 45, 0, time.UTC) }
	down := errors.New("dial: connection refused")
	for _, e := range []coord.Event{
		coord.Beat{ID: "b"}, coord.StoreRestored{}, // nothing was wrong
		coord.StoreFailed{Err: down}, coord.StoreRetry{Attempt: 1, Delay: time.Second, Err: down},
		coord.StoreFailed{Err: down}, coord.StoreRetry{Attempt: 2, Delay: 2 * time.Second, Err: down},
		coord.StoreRetry{Attempt: 1, Delay: time.Second, Err: down}, // another operation's
		coord.BreakerState{State: "open"}, coord.BreakerState{State: "half-open"}, coord.BreakerState{State: "open"},
		coord.Beat{ID: "b", Err: down},
		coord.HeartbeatResumed{ID: "b", Silent: 3 * time.Second}, // a beat got through before the next retry
		coord.StoreRestored{}, coord.BreakerState{State: "closed"},
		coord.SignalRefused{By: "b", Reason: "forged", Err: errors.New("it\x1b[31m\ndoes not fit")},
	} {
		n.Observe(e)
	}
	want := `[15:23:45] Redis failure: dial: connection refused
[15:23:45] Redis failure, retrying in 1s (attempt 1)
[15:23:45] Redis failure, retrying in 2s (attempt 2)
[15:23:45] circuit breaker open: probing until Redis answers
[15:23:45] Redis connection restored
[15:23:45] b: heartbeat resumed after 3s
[15:23:45] signal refused: forged: it\u001b[31m; does not fit
`
	if out.String() != want {
		t.Errorf("told:\n%swant:\n%s", &out, want)
	}
	if n.lastFailure() != down {
		t.Errorf("last failure: %v", n.lastFailure())
	}
}
