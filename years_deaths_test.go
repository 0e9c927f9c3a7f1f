package coord_test

import (
	"math"
	"slices"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/work"
)

// incarnated is one incarnation.
type incarnated struct {
	process string
	crashed time.Time // zero: it has not
	back    time.Time // when its name was joined again, or it began to leave
	left    bool
	fenced  time.Time
	dead    time.Time // when that was said
}

func (n *annals) joined(o work.Owner, process string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lives[o] = &incarnated{process: process}
}

func (n *annals) life(o work.Owner, f func(*incarnated)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lives[o]; l != nil {
		f(l)
	}
}

// incarnation is called with the lock held.
func (n *annals) incarnation(o work.Owner) *incarnated {
	l := n.lives[o]
	if l == nil {
		l = &incarnated{back: time.Now()} // its Join never returned
		n.lives[o] = l
	}
	return l
}

// returns: the names that p bears are joined again, so their former incarnations are superseded.
func (n *annals) returns(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for o, l := range n.lives {
		if o.ID == id && l.back.IsZero() {
			l.back = time.Now()
		}
	}
}

// trouble is when a monitor may not have seen what happened.
type trouble struct {
	whose    string // a process; empty: everybody's
	from, to time.Time
}

func (n *annals) troubled(whose string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.troubles = append(n.troubles, trouble{whose, time.Now(), time.Now().Add(d)})
}

// hides: it kept everybody from looking, from within a check after that beat until it had expired or nearly so. Then no
// monitor has seen it.
func (t trouble) hides(beat time.Time) bool {
	return t.whose == "" && t.from.After(beat) && t.from.Sub(beat) <= policy.Check && t.to.Sub(beat) >= policy.TTL-policy.Check
}

// silence is the time since the last beat of o, without those times in which no monitor could have looked.
func (n *annals) silence(o work.Owner) (time.Duration, bool) {
	last, known := n.sky.lastBeat(o)
	silent := time.Since(last)
	if slices.ContainsFunc(n.troubles, func(t trouble) bool { return t.hides(last) }) {
		silent += policy.Check
	}
	for _, t := range n.troubles {
		if t.whose == "" && t.to.Sub(t.from) > 2*policy.Check && t.from.After(last) {
			silent -= min(t.to.Sub(t.from), time.Since(t.from))
		}
	}
	return silent, known
}

var policy = coord.DefaultPolicy()

// escalated: D2, nobody who beats; D4, nobody twice; and nobody who has left.
func (n *annals) escalated(e coord.Dead) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sums.deaths++
	o := work.Owner{ID: e.ID, Incarnation: e.Incarnation}
	l := n.incarnation(o)
	about := []string{o.ID, l.process}
	low, _ := policy.Bounds()
	switch silent, known := n.silence(o); {
	case !l.dead.IsZero():
		n.violated(about, "D4: %v was declared dead twice", o)
	case l.left:
		n.violated(about, "%v has left, and was declared dead", o)
	case known && silent < low:
		n.violated(about, "D2: %v was declared dead %v after its last beat", o, silent)
	}
	l.dead = time.Now()
}

// warned: D2 and D3, the k-th warning after Stale and k-1 times the spacing.
func (n *annals) warned(e coord.Warned) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := work.Owner{ID: e.ID, Incarnation: e.Incarnation}
	silent, known := n.silence(o)
	l := n.incarnation(o)
	if earliest := policy.Stale + time.Duration(e.K-1)*policy.Spacing; known && silent < earliest {
		n.violated([]string{o.ID, l.process}, "D2: %v got warning %d %v after its last beat", o, e.K, silent)
	}
}

// audit: D1, who crashed and stays away is escalated in time; and whoever was fenced, somebody has told of it.
func (n *annals) audit() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.confirmed()
	n.troubles = slices.DeleteFunc(n.troubles, func(t trouble) bool { return time.Since(t.to) > 3*time.Hour })
	for o, l := range n.lives {
		last, _ := n.sky.lastBeat(o)
		late := time.Since(last) > n.patience(last)
		switch about := []string{o.ID, l.process, "monitor-0", "monitor-1", "monitor-2"}; {
		case late && !l.crashed.IsZero() && l.back.IsZero() && l.dead.IsZero():
			n.violated(about, "D1: %v crashed %v ago and is not declared dead", o, time.Since(l.crashed))
		case late && !l.fenced.IsZero() && l.dead.IsZero() && time.Since(l.fenced) < time.Hour:
			n.violated(about, "D4: %v was fenced, and nobody has said that it is dead", o)
		}
		if gone := l.back; !gone.IsZero() && time.Since(gone) > 2*time.Hour {
			delete(n.lives, o)
		}
	}
}

// patience is how long a silence may last, as far as the luckiest monitor is concerned: the bound, what it could not see,
// and a whole set of warnings anew where they expired meanwhile.
func (n *annals) patience(since time.Time) time.Duration {
	_, high := policy.Bounds()
	best := time.Duration(math.MaxInt64)
	for _, m := range n.monitors {
		d := high + 3*policy.Check
		for _, t := range n.troubles {
			if t.whose != "" && t.whose != m || t.to.Before(since) {
				continue
			}
			length := t.to.Sub(t.from)
			d += length + 3*policy.Check
			if length > policy.Spacing {
				d += policy.Window
			}
		}
		best = min(best, d)
	}
	return best
}
