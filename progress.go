package coord

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// progress watches the units that must make progress, like silence is watched: on this monitor's own clock, from look to
// look, and not across a look that failed or a gap of more than two checks.
type progress struct {
	desk   *work.Desk
	policy Policy
	now    func() time.Time

	lost   atomic.Bool // everything is to be looked for again
	reader *work.DeadlineReader
	seen   []stalled
}

// stalled is an epoch whose counter of checkpoints and touches stands still.
type stalled struct {
	deadline work.Deadline
	count    int64
	looked   time.Time // zero: the last look failed
	still    time.Duration
}

// look returns the epochs whose owners have made no progress for as long as they may. What could not be read counts for
// nothing.
func (p *progress) look(ctx context.Context) (late []work.Deadline, aside []work.Malformed, err error) {
	if p.reader == nil {
		p.reader = p.desk.Deadlines()
	}
	if p.lost.Swap(false) {
		p.reader.Recheck()
		p.seen = nil
	}
	deadlines, aside, err := p.reader.Read(ctx)
	if err != nil {
		p.doubt()
		return nil, aside, err
	}
	p.keep(deadlines)
	ops := make([]store.Op, len(p.seen))
	for i, s := range p.seen {
		ops[i] = store.GetOp(p.desk.Space.Progress(s.deadline.Unit.ID, s.deadline.Epoch))
	}
	now := p.now()
	for i, got := range store.Batch(ctx, p.desk.Store, ops) {
		if s := &p.seen[i]; s.observe(got, now, 2*p.policy.Check) {
			late = append(late, s.deadline)
		}
	}
	return late, aside, nil
}

// doubt: what happened meanwhile was not seen.
func (p *progress) doubt() {
	for i := range p.seen {
		p.seen[i].looked = time.Time{}
	}
}

// keep adds what is new and forgets what has ended.
func (p *progress) keep(deadlines []work.Deadline) {
	same := func(a, b work.Deadline) bool { return a.Unit.ID == b.Unit.ID && a.Epoch == b.Epoch }
	p.seen = slices.DeleteFunc(p.seen, func(s stalled) bool {
		return !slices.ContainsFunc(deadlines, func(d work.Deadline) bool { return same(d, s.deadline) })
	})
	for _, d := range deadlines {
		if !slices.ContainsFunc(p.seen, func(s stalled) bool { return same(d, s.deadline) }) {
			p.seen = append(p.seen, stalled{deadline: d, count: -1})
		}
	}
}

// observe takes in one look and reports whether the deadline has passed.
func (s *stalled) observe(got store.Result, now time.Time, most time.Duration) bool {
	count, ok := counted(got)
	if !ok {
		s.looked = time.Time{}
		return false
	}
	gap := now.Sub(s.looked)
	switch {
	case count != s.count: // lower, where the store lost count
		s.count, s.still = count, 0
	case !s.looked.IsZero() && gap <= most:
		s.still += gap
	}
	s.looked = now
	return s.still > s.deadline.Within
}

func counted(got store.Result) (int64, bool) {
	if errors.Is(got.Err, store.ErrNotFound) {
		return 0, true
	}
	n, err := strconv.ParseInt(string(got.Value), 10, 64)
	return n, got.Err == nil && err == nil
}

// startOver: the store lost its data. Who dies or owes progress from now on may bear the number of one who did before.
func (m *Monitor) startOver() {
	m.forgetTold(nil)
	m.slow.lost.Store(true) // whoever has the chores looks
}

// hurry hands over the epochs that make no progress, though their owners beat.
func (m *Monitor) hurry(ctx context.Context) error {
	late, aside, err := m.slow.look(ctx)
	m.client.setAside(aside)
	for _, d := range late {
		err = errors.Join(err, m.replace(ctx, d))
	}
	return err
}

func (m *Monitor) replace(ctx context.Context, d work.Deadline) error {
	h := &chooser{client: m.client, ctx: ctx, not: d.Owner, pick: m.pick, spawn: m.spawn != nil}
	decided, mine, err := m.desk.Close(ctx, d.Unit, d.Epoch, h.choose)
	if mine && err == nil && decided.To != nil {
		m.client.moved([]work.Move{{Unit: d.Unit, Epoch: d.Epoch + 1, From: d.Owner, To: *decided.To}})
	}
	m.spawnAll(ctx, d.Owner, h.orphans)
	if errors.Is(err, work.ErrNoHeir) {
		return nil // the next Check tries again
	}
	return err
}
