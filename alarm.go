package coord

import (
	"time"

	"github.com/blocking-coordination/coord/store"
)

// alarm rings once, some time after it was set, and can be set again and again: many deadlines share one timer, which
// is made once. Its owner's lock guards it. A ring that was under way when the alarm was set anew or stopped comes all
// the same, so whoever hears it looks at the clock.
type alarm struct {
	clock store.Clock
	ring  func()

	at    time.Time // when it is going to ring; zero: not at all
	armed time.Time // when the timer is going to fire; zero: it is stopped
	timer *time.Timer
	halt  func() bool // of a clock that is not the system's
}

// by has it ring at a moment, or earlier.
func (a *alarm) by(at, now time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	if !a.armed.IsZero() && !at.Before(a.armed) {
		a.at = a.armed // it rests, and is going to fire early enough
		return
	}
	a.stop()
	a.at, a.armed = at, at
	switch d := at.Sub(now); {
	case a.clock != store.SystemClock:
		a.halt = a.clock.AfterFunc(d, a.ring)
	case a.timer == nil:
		a.timer = time.AfterFunc(d, a.ring)
	default:
		a.timer.Reset(d)
	}
}

// rest is stop for the moment: the next deadline is probably as near as the last one was. The system's timer goes on, and
// its owner's poll stops it.
func (a *alarm) rest() {
	a.at = time.Time{}
	if a.halt != nil {
		a.stop()
	}
}

func (a *alarm) stop() {
	a.at, a.armed = time.Time{}, time.Time{}
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.halt != nil {
		a.halt()
		a.halt = nil
	}
}
