package detect

import "time"

// span is a duration that this monitor vouches for: it grows from one good look to the next, and stands still across
// whatever lies between them that the monitor did not see. The zero span has not begun.
type span struct {
	from  time.Time // moved forward by what does not count
	last  time.Time // the last good look
	blind bool      // a look has failed since
}

func (s *span) begun() bool { return !s.last.IsZero() }

// restart begins at a moment that is certainly not too early: when an answer was there.
func (s *span) restart(at time.Time) { *s = span{from: at, last: at} }

// look is a good look at now. The time since the last one counts only if no look failed meanwhile, and the monitor was not
// away for longer than limit.
func (s *span) look(now time.Time, limit time.Duration) {
	if since := now.Sub(s.last); s.blind || since > limit {
		s.from = s.from.Add(since)
	}
	s.last, s.blind = now, false
}

// length is what has accumulated up to the last good look.
func (s *span) length() time.Duration { return max(s.last.Sub(s.from), 0) }

// atMost shortens the span to d.
func (s *span) atMost(d time.Duration) {
	if s.length() > d {
		s.from = s.last.Add(-d)
	}
}
