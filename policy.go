package coord

import (
	"errors"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
)

// Policy says how often a coordinator beats and when its silence counts. All members of a namespace share one.
type Policy struct {
	Beat     time.Duration // between two heartbeats
	TTL      time.Duration // how long a heartbeat stands in the store
	Stale    time.Duration // the silence that earns the first warning
	Warnings int           // how many warnings before the escalation
	Spacing  time.Duration // between two warnings, at least
	Window   time.Duration // how long a warning stands
	Check    time.Duration // between two looks of a monitor
}

// DefaultPolicy is for coordinators that work for minutes: beat 5 s, TTL 90 s, stale after 120 s, 3 warnings 60 s apart
// within 300 s, a check every 10 s.
func DefaultPolicy() Policy {
	return Policy{
		Beat: 5 * time.Second, TTL: 90 * time.Second, Stale: 120 * time.Second,
		Warnings: 3, Spacing: 60 * time.Second, Window: 300 * time.Second, Check: 10 * time.Second,
	}
}

// FastPolicy is for coordinators whose death must be known within about ten seconds: beat 500 ms, TTL 3 s, stale after
// 4 s, 3 warnings 2 s apart within 30 s, a check every 500 ms.
func FastPolicy() Policy {
	return Policy{
		Beat: 500 * time.Millisecond, TTL: 3 * time.Second, Stale: 4 * time.Second,
		Warnings: 3, Spacing: 2 * time.Second, Window: 30 * time.Second, Check: 500 * time.Millisecond,
	}
}

func (p Policy) withDefaults() Policy {
	if p == (Policy{}) {
		return DefaultPolicy()
	}
	return p
}

// Bounds returns between which ages a death is escalated on real clocks, where beats and checks come in time: the lower
// one counts from the last beat, the upper one allows a check to slip past each edge. For DefaultPolicy, and for the zero
// Policy, which stands for it, 235 s and 280 s. Where Open refuses a Policy, its bounds mean nothing.
func (p Policy) Bounds() (low, high time.Duration) {
	return detect.Bounds(p.withDefaults().detection())
}

func (p Policy) detection() detect.Policy { return detect.Policy(p) }

// check: every relation that the protocol relies on.
func (p Policy) check() error {
	switch {
	case p.Beat <= 0 || p.Check <= 0 || p.Spacing <= 0 || p.Warnings < 1:
		return errors.New("policy: Beat, Check and Spacing must be positive, Warnings at least 1")
	case p.TTL < 4*p.Beat:
		return errors.New("policy: TTL must be at least four Beats: a coordinator is suspended two Beats before it ends")
	case 2*p.TTL < 3*p.Check:
		return errors.New("policy: TTL must be at least one and a half Checks, or a beat may come and go unseen")
	case p.Stale < p.TTL:
		return errors.New("policy: Stale must be at least TTL, or the living are warned before they are suspended")
	case p.Stale < p.Beat+2*p.Check:
		return errors.New("policy: Stale must be at least one Beat and two Checks")
	case p.Window < time.Duration(p.Warnings)*(p.Spacing+2*p.Check):
		return errors.New("policy: Window must hold all Warnings with their Spacing and the checks between them")
	}
	return nil
}
