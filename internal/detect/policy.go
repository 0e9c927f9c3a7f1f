package detect

import "time"

// Policy says when silence counts. It is used as it is: the caller has validated it. All must be positive, TTL at least
// one Check and a half, so that no beat passes unseen between two checks, Stale at least TTL and at least one Beat and
// two Checks, and Window long enough for all warnings.
type Policy struct {
	Beat     time.Duration // between two heartbeats
	TTL      time.Duration // how long a heartbeat stands
	Stale    time.Duration // the silence that earns the first warning
	Warnings int           // before the decision; at least 1
	Spacing  time.Duration // from warning to warning, at least
	Window   time.Duration // how long a warning stands
	Check    time.Duration // between two checks
}

// Scheduled returns between which ages of a death it is decided where checks come exactly every Check and operations take
// no time: not earlier than low and not later than high. jitter is by how much a beat may be late. With a late index, and a
// TTL that is no whole number of Checks, either end may be missed by less than one Check, which Bounds allows for.
func Scheduled(p Policy, jitter time.Duration) (low, high time.Duration) {
	d := roundUp(p.Stale, p.Check) + time.Duration(p.Warnings-1)*roundUp(p.Spacing, p.Check)
	return d - p.Beat - jitter, d + p.Check
}

// Bounds returns the same for real clocks: low counts no rounding to checks, and at high the check has slipped past each
// of the edges, Stale and every Spacing, by one more Check. Operations' own time comes on top of it, beats that are late
// take away from low.
func Bounds(p Policy) (low, high time.Duration) {
	low = p.Stale + time.Duration(p.Warnings-1)*p.Spacing - p.Beat
	_, high = Scheduled(p, 0)
	return low, high + time.Duration(p.Warnings)*p.Check
}

// roundUp leaves d as it is where there is no unit.
func roundUp(d, unit time.Duration) time.Duration {
	unit = max(unit, 1)
	return (d + unit - 1) / unit * unit
}
