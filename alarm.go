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
	timer *time.Timer
	halt  func() bool // of a clock that is not the system's
}

// by has it ring at a moment, or earlier.
func (a *alarm) by(at, now time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.stop()
	a.at = at
	switch d := at.Sub(now); {
	case a.clock != store.SystemClock:
		a.halt = a.clock.AfterFunc(d, a.ring)
	case a.timer == nil:
		a.timer = time.AfterFunc(d, a.ring)
	default:
		a.timer.Reset(d)
	}
}

func (a *alarm) stop() {
	a.at = time.Time{}
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.halt != nil {
		a.halt()
		a.halt = nil
	}
}
