package store

import "time"

// Clock is a source of time. Its readings carry a monotonic component where the platform has one, so differences are
// durations and not opinions about the date.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, d from now or later, in a goroutine of its own or (a fake clock) in the one that advances
	// the clock. stop reports whether it prevented the call.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// SystemClock is the clock of package time. Inside a testing/synctest bubble it is the bubble's.
var SystemClock Clock = systemClock{}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}
