package detect

import (
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

// Where the store has a late index, everybody who beats touches it now and then, and a Check reads those who have not touched it
// of late instead of everybody. The index says whom to read, and nothing else: nobody signs it, and touches can be lost.
//
// D1: Who stops beating stops touching, is late when the next mark is old enough, and is read from then on: at least a
// Check before the last beat expires, so that every monitor knows that beat and names the warnings alike. Those of whom
// the index does not speak are read as without it: who is not in it (another driver, a touch that was lost), who did not
// beat when last read, and everybody where the index went back, failed, or was not followed for long enough. Those who
// are on time are read in turn, so that nothing that the index says is believed for ever: a death that it hides is found
// after the second turn at the latest.
//
// D2: Silence counts from my own looks at the heartbeat; that somebody is late is no silence. So the silence of the dead
// begins late, by as much as it takes to be late. It is made up for when the heartbeat is seen to be gone: the last beat
// is a TTL old, or it would stand; and nobody touched since I last saw it on time. The silence then counts from the later
// of the two. Where a touch was lost, the heartbeat stands and nothing is made up for; where the store lost the heartbeat
// of one who lives, there are touches and nobody asks. Both count only while every look since was good.
//
// D3, D4: Nobody is accused whose heartbeat, end and warnings were not read in the same pass.
//
// D7: There is no time in the index. A mark is how far it had counted at a moment of my own clock.

// mark says that the index had counted to count: not before asked, not after at.
type mark struct {
	asked, at time.Time
	count     int64
}

// index is what a Watch knows of the late index.
type index struct {
	pass      int
	marks     []mark    // of good looks without a gap between them, ascending; the first may be old enough
	strangers []*member // whom the index is not known to hold
	lates     []*member // who is late at this pass
	turn      *member   // the last one who was read in turn
}

// Touching: the index is touched with every second beat.
const Touching = 2

// late is after how long without a touch somebody is read: one Beat later than a touch should have come, in whole Checks.
func (p *pass) late() time.Duration { return roundUp((Touching+1)*p.Policy.Beat, p.Policy.Check) }

// few is how many are read at every Check whatever the index says: as many as fit one trip.
func (w *Watch) few() int {
	if w.Few != 0 {
		return max(w.Few, 0)
	}
	return atOnce
}

// useful: reading everybody takes more than one trip, or did, and who is late is read before his last beat expires, also
// where a Check slips.
func (p *pass) useful(ix store.LateIndex) bool {
	many := len(p.members) > p.few() || p.index.marks != nil
	return ix != nil && many && p.Policy.TTL >= p.late()+2*p.Policy.Check
}

// candidates are those whose heartbeat is to be read: everybody who is not over, or fewer where an index speaks for the
// others. Then nothing is done that takes time for each of the others.
func (p *pass) candidates() []*member {
	before := p.round
	p.round, p.index.lates = nil, nil
	p.index.pass++
	for _, m := range before {
		m.heard, m.sure = unread, false
	}
	known := p.ask()
	turn := p.turn()
	if known {
		p.invite(slices.DeleteFunc(before, func(m *member) bool { return m.handled || !m.over() && !m.watched && m.indexed })...)
		p.invite(p.index.strangers...)
		p.invite(p.index.lates...)
		p.invite(turn...)
		slices.SortFunc(p.round, func(a, b *member) int { return order(a, b.id, b.incarnation) })
	} else {
		p.invite(p.members...)
	}
	return slices.DeleteFunc(slices.Clone(p.round), (*member).over)
}

// invite has members looked at in this pass, or in the next one where it has not begun.
func (w *Watch) invite(members ...*member) {
	for _, m := range members {
		if m.invited != w.index.pass {
			m.invited = w.index.pass
			w.round = append(w.round, m)
		}
	}
}

// turn returns who is read although nothing speaks against him: the next few.
func (p *pass) turn() []*member {
	few, n, first := min(p.few(), len(p.members)), len(p.members), 0
	if few == 0 {
		return nil
	}
	if last := p.index.turn; last != nil {
		at, found := slices.BinarySearchFunc(p.members, last, func(m, t *member) int { return order(m, t.id, t.incarnation) })
		if first = at; found {
			first++
		}
	}
	p.index.turn = p.members[(first+few-1)%n]
	if first+few <= n {
		return p.members[first : first+few]
	}
	return slices.Concat(p.members[first:], p.members[:first+few-n])
}

// ask notes who is late, and reports whether the index speaks for the others.
func (p *pass) ask() bool {
	ix := store.CapabilitiesOf(p.Store).Late
	if !p.useful(ix) {
		p.doubt()
		return false
	}
	count, err := p.counted(ix)
	if err != nil {
		p.doubt()
		return false
	}
	since, found := p.reference()
	p.index.marks = append(p.index.marks, mark{p.began, p.Now(), count})
	if !found {
		return false
	}
	late, err := ix.Late(p.ctx, p.Space.Late(), since.count, most)
	if err != nil || len(late) == most {
		p.doubt()
		return false
	}
	for _, name := range late {
		p.isLate(name, since.at)
	}
	return true
}

// most is how many late ones are asked for.
const most = 1 << 20

// counted returns how far the index has counted, and takes in what follows from that.
func (p *pass) counted(ix store.LateIndex) (int64, error) {
	counts, err := p.counts(ix)
	if err != nil {
		return 0, err
	}
	count, err := ix.Count(p.ctx, p.Space.Late())
	if err != nil {
		return 0, err
	}
	p.admit(counts, count)
	if last := len(p.index.marks) - 1; last >= 0 {
		p.follow(p.index.marks[last], count)
	}
	return count, nil
}

// counts asks for those who are not known to be in the index.
func (p *pass) counts(ix store.LateIndex) (counts []int64, err error) {
	p.index.strangers = slices.DeleteFunc(p.index.strangers, (*member).over)
	for some := range slices.Chunk(p.index.strangers, atOnce) {
		names := make([]string, len(some))
		for i, m := range some {
			names[i] = keys.Indexed(m.id, m.incarnation)
		}
		more, err := ix.Counts(p.ctx, p.Space.Late(), names...)
		if err != nil {
			return nil, err
		}
		counts = append(counts, more...)
	}
	return counts, nil
}

// admit takes in what the strangers' counts were. One above the index's own is of an earlier life of the index.
func (p *pass) admit(counts []int64, count int64) {
	var still []*member
	for i, m := range p.index.strangers {
		if m.indexed = 0 < counts[i] && counts[i] <= count; !m.indexed {
			still = append(still, m)
		}
	}
	p.index.strangers = still
}

// follow compares with the last mark. An index that went back has lost its data: who is in it now?
func (p *pass) follow(last mark, count int64) {
	switch {
	case count < last.count:
		for _, m := range p.members {
			m.indexed = false
		}
		p.index.strangers = slices.Clone(p.members)
		p.doubt()
	case p.began.Sub(last.at) > p.limit():
		p.doubt()
	}
}

// doubt: I missed something, so nobody is known to have been on time before now.
func (p *pass) doubt() {
	if p.index.marks == nil {
		return
	}
	p.index.pass++ // nobody was late at the pass before
	p.index.marks = nil
	for _, m := range p.members {
		m.quiet = time.Time{}
	}
}

// reference is the newest mark that is old enough; a check may be early by a quarter.
func (p *pass) reference() (ref mark, found bool) {
	marks := p.index.marks
	for len(marks) > 0 && p.began.Sub(marks[0].asked) >= p.late()-p.Policy.Check/4 {
		ref, found = marks[0], true
		p.index.marks, marks = marks, marks[1:]
	}
	return ref, found
}

// isLate: nobody touched for that member since then. Who was late before is quiet since an earlier mark, or has beaten.
func (p *pass) isLate(name string, since time.Time) {
	id, incarnation := keys.OfIndexed(name)
	i, known := slices.BinarySearchFunc(p.members, incarnation, func(m *member, n int64) int { return order(m, id, n) })
	if !known {
		return
	}
	m := p.members[i]
	if m.late != p.index.pass-1 {
		m.quiet, m.turned = since, p.index.pass
	}
	m.late = p.index.pass
	p.index.lates = append(p.index.lates, m)
}

// settle draws the consequences of a look: who was not heard to beat is read again, whatever the index says; and who beat
// though he was late, or could not be looked at, is not known to have been quiet.
func (p *pass) settle(m *member) {
	m.watched = m.fresh || m.tried || m.warned > 0 || m.heard != newBeat
	if m.heard == unread || m.heard == newBeat && m.turned != p.index.pass {
		m.quiet = time.Time{}
	}
}

// gone counts the silence of one whose heartbeat is gone from when it was last on time, but no more than one TTL of it.
func (p *pass) gone(m *member, asked time.Time) {
	if m.quiet.IsZero() {
		return
	}
	from := asked.Add(-p.Policy.TTL)
	if m.quiet.After(from) {
		from = m.quiet
	}
	if m.silence.from.After(from) {
		m.silence.from = from
	}
}

// drop removes those about whom everything was done from the index. Who stays in it is late for ever, which costs little.
func (p *pass) drop(handled []*member) {
	ix := store.CapabilitiesOf(p.Store).Late
	if ix == nil {
		return
	}
	names := make([]string, len(handled))
	for i, m := range handled {
		names[i] = keys.Indexed(m.id, m.incarnation)
	}
	_ = ix.Drop(p.ctx, p.Space.Late(), names...)
}
