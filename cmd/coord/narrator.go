package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
)

// narrator tells on stderr, with the time, what a person at the terminal wants to know. It tells an outage once: what
// failed, each retry, and that the connection is restored, whoever notices any of it first.
type narrator struct {
	out io.Writer
	now func() time.Time

	mu     sync.Mutex
	down   bool
	told   int   // the highest attempt of this outage that was told of
	opened bool  // it was said that the breaker is open
	last   error // the last failure of the store
}

func newNarrator(out io.Writer) *narrator { return &narrator{out: out, now: time.Now} }

// say prints one line.
func (n *narrator) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.print(format, args...)
}

func (n *narrator) print(format string, args ...any) {
	fmt.Fprintf(n.out, "[%s] %s\n", n.now().Format(time.TimeOnly), oneLine(fmt.Sprintf(format, args...)))
}

func (n *narrator) lastFailure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// Observe implements coord.Observer.
func (n *narrator) Observe(e coord.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch e := e.(type) {
	case coord.StoreFailed:
		n.failed(e.Err)
	case coord.StoreRetry:
		n.failed(e.Err)
		n.retry(e)
	case coord.StoreRestored:
		n.restored()
	case coord.BreakerState:
		n.breaker(e.State)
	case coord.Beat:
		n.beat(e.Err)
	case coord.HeartbeatResumed:
		n.restored()
		n.print("%s: heartbeat resumed after %s", e.ID, brief(e.Silent))
	default:
		n.other(e)
	}
}

// other tells of what has nothing to do with an outage.
func (n *narrator) other(e coord.Event) {
	switch e := e.(type) {
	case coord.SignalRefused:
		why := strings.TrimPrefix(e.Err.Error(), "envelope: refused as "+e.Reason+": ")
		n.print("signal refused: %s: %s", e.Reason, why)
	case coord.Suspended:
		n.print("%s: suspended: no heartbeat reached the store for nearly a whole TTL", e.ID)
	case coord.Resumed:
		n.print("%s: resumed", e.ID)
	case coord.Fenced:
		n.print("%s: fenced: declared dead, or a later incarnation exists", e.ID)
	case coord.WorkSetAside, coord.WorkFailed, coord.HandlerFailed:
		n.work(e)
	case coord.StoreRegressed:
		n.print("the store was restarted or lost writes: reading and registering everything again")
	}
}

// work tells what went wrong about units of work.
func (n *narrator) work(e coord.Event) {
	switch e := e.(type) {
	case coord.WorkSetAside:
		n.print("work set aside: unit %s: %v (%s)", cmp.Or(e.Unit, "unknown"), e.Err, e.Key)
	case coord.WorkFailed:
		n.print("unit %s, epoch %d: %v", e.Unit, e.Epoch, e.Err)
	case coord.HandlerFailed:
		if !errors.Is(e.Err, errNoRoom) {
			n.print("%s: %v", e.About, e.Err)
		}
	}
}

// failed: the first failure of an outage is worth a line.
func (n *narrator) failed(err error) {
	n.last = err
	if !n.down {
		n.down = true
		n.print("Redis failure: %v", err)
	}
}

// retry: several operations may fail at once and count each for itself; one count is told.
func (n *narrator) retry(e coord.StoreRetry) {
	if e.Attempt > n.told {
		n.told = e.Attempt
		n.print("Redis failure, retrying in %v (attempt %d)", e.Delay, e.Attempt)
	}
}

// beat keeps the reason; the retries of others tell of the outage.
func (n *narrator) beat(err error) {
	if err != nil {
		n.last = err
	}
}

func (n *narrator) restored() {
	if n.down {
		n.down, n.opened, n.told = false, false, 0
		n.print("Redis connection restored")
	}
}

func (n *narrator) breaker(state string) {
	if state == "open" && !n.opened {
		n.opened = true
		n.print("circuit breaker open: probing until Redis answers")
	}
}
