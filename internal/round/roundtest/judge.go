package roundtest

import (
	"errors"
	"maps"
	"slices"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// before is what stood when a look began.
type before struct {
	replied    map[string]bool
	registered map[string]int64 // the last that had, though it may have left by now
	replaced   map[string]string
}

func (s *scene) remember(g *gathering) *before {
	b := &before{map[string]bool{}, map[string]int64{}, maps.Clone(s.replaced)}
	for _, id := range s.everybody() {
		b.replied[id] = s.standing(question(name, id)) != nil || s.settled[id].state != ""
		b.registered[id] = s.lastSeen(id)
	}
	return b
}

// judge judges a look: what stood before it counts, and nobody is dead but who is. What kept it from finding out about one
// excuses nothing about the others.
func (s *scene) judge(g *gathering) {
	s.settles(g)
	for _, m := range g.round.Members() {
		switch {
		case m.State == round.Dead:
			s.judgeDeath(g, m)
		case m.Trouble == nil && m.State == round.Open && g.before.replied[m.ID]:
			s.broken("G2: %s has replied, and a look does not see it", m.ID)
		case m.Trouble == nil && m.State == round.Open:
			s.judgeOpen(g, m)
		}
	}
}

// judgeOpen: who was replaced by one who has replied does not have to come in again.
func (s *scene) judgeOpen(g *gathering, m round.Member) {
	id := g.before.replaced[m.ID]
	if g.before == g.began && id != "" && g.round.Reply(id) == nil {
		s.broken("G2: %s has replied in the place of %s, and a first look does not see it", id, m.ID)
	}
}

// judgeRecall: whoever finds that m was found dead before, though it came back, must have the reply of who was asked in
// its place, or in the place of that one.
func (s *scene) judgeRecall(m round.Member) {
	s.world.Seen("recalled")
	id := s.onDeath[m.ID]
	if id != m.ReplacedBy {
		s.broken("G4: %s was asked in the place of %s, which is not the one", m.ReplacedBy, m.ID)
	}
	for ; id != ""; id = s.onDeath[id] {
		if _, err := s.mem.Get(ctx, space.RoundReply(asker, name, id).Decision()); err == nil {
			return
		}
	}
	s.broken("G3: %s is dead because it was replaced, and nobody has replied in its place", m.ID)
}

func (s *scene) judgeDeath(g *gathering, m round.Member) {
	if g.died(m.ID) {
		return
	}
	g.dead = append(g.dead, m.ID)
	s.world.Seen("found dead")
	recalled := m.Reason == round.DiedBefore
	if recalled {
		s.judgeRecall(m)
	}
	switch {
	case !s.deadBySilence(work.Owner{ID: m.ID, Incarnation: m.Incarnation}):
		s.broken("G3: %s/%d is found dead, and that is not decided", m.ID, m.Incarnation)
	case g.before.registered[m.ID] > m.Incarnation && !recalled:
		s.broken("G3: %s is found dead as %d, and has been there as %d", m.ID, m.Incarnation, g.before.registered[m.ID])
	case g.before.replied[m.ID], s.first[m.ID] > 0 && s.first[m.ID] < s.declared[work.Owner{ID: m.ID, Incarnation: m.Incarnation}]:
		s.broken("G3: %s is found dead, and had replied", m.ID)
	}
	if s.lastNumber(m.ID) > m.Incarnation {
		s.world.Seen("found dead behind a burnt number")
	}
}

// died: that was found by an earlier look.
func (g *gathering) died(id string) bool { return slices.Contains(g.dead, id) }

// settles judges who is settled: always the same, and by an answer that was given to this question.
func (s *scene) settles(g *gathering) {
	seen := map[string]bool{}
	for _, m := range g.round.Members() {
		if seen[m.ID] {
			s.broken("G4: %s is a member twice", m.ID)
		}
		seen[m.ID] = true
		if m.State == round.Answered || m.State == round.Rejected {
			s.settle(m.ID, outcome{m.State, m.Incarnation, g.answerOf(m)})
			if m.Replaces != "" {
				s.replaced[m.Replaces] = m.ID
			}
		}
	}
}

func (g *gathering) answerOf(m round.Member) string {
	if m.State == round.Rejected {
		return m.Reason
	}
	return g.accepted[m.ID]
}

func (s *scene) settle(id string, o outcome) {
	before, known := s.settled[id]
	switch {
	case known && before != o:
		s.broken("G2: %s was settled by %v, and then by %v", id, before, o)
	case s.whose(o.answer) != id:
		s.broken("G4: %s is settled by %q, which is no answer of it to this round", id, o.answer)
	}
	s.settled[id] = o
}

// asks judges that somebody is about to be asked.
func (s *scene) asks(g *gathering, q envelope.Signal) {
	again := slices.ContainsFunc(g.sent, func(o *question_) bool { return o.signal.Receiver == q.Receiver })
	switch {
	case g.before == nil && s.standing(question(name, q.Receiver)) != nil:
		s.broken("G1: %s is asked, and had replied before anybody looked", q.Receiver)
	case g.before != nil && g.before.replied[q.Receiver]:
		s.broken("G1: %s is asked, and had replied", q.Receiver)
	case again:
		s.broken("G4: %s is asked twice by one gather", q.Receiver)
	}
}

// report judges what a gather returns.
func (s *scene) report(g *gathering, err error) {
	s.settles(g)
	members := g.round.Members()
	if enough := s.until(members); enough != (err == nil) {
		s.broken("G4: enough is %v, and it returns %v", enough, err)
	}
	answered := 0
	for _, m := range members {
		if m.State == round.Answered {
			answered++
		}
		if m.State == round.Silent && g.began.replied[m.ID] && m.ID != s.spoilt && err != nil && !errors.Is(err, store.ErrUnavailable) {
			s.broken("G2: %s had replied before the gather began, and is silent: %v", m.ID, err)
		}
		if m.ReplacedBy != "" {
			s.world.Seen("replaced")
		}
	}
	if answered != len(g.accepted) {
		s.broken("G4: %d have answered, and %d answers count", answered, len(g.accepted))
	}
}

// decided judges what a decision returns.
func (s *scene) decided(g *gathering, o round.Outcome, mine bool, err error, fenced bool) {
	switch {
	case err != nil:
		return
	case s.outcome != nil && *s.outcome != o:
		s.broken("G5: %v was decided, and then %v", *s.outcome, o)
	case mine && s.mine > 0:
		s.broken("G5: two have decided")
	case mine && fenced:
		s.broken("G5: %s decides, and was fenced", g.me)
	}
	if s.outcome != nil {
		s.world.Seen("decided before")
	}
	s.outcome = &o
	if mine {
		s.mine++
	}
}

func (s *scene) deadOrSuperseded(o work.Owner) bool {
	p := process{scene: s}
	_, dead, err := p.desk(s.mem).Dead(ctx, o)
	return err == nil && dead
}

// finish lets, with nothing in the way any more, those who live answer, the dead be declared dead, and a last life of
// the asker gather.
func (s *scene) finish() {
	s.world.Advance(grace)
	for _, l := range s.members {
		l.port.Store = s.mem
	}
	last := &po{process: &process{scene: s, port: &port{s.mem}}}
	last.join()
	for range 8 {
		last.gather(4) // long enough for a hole in the registry to be closed
		s.declare(last.process)
		for _, l := range s.members {
			l.pass()
		}
		s.world.Advance(grace)
	}
	s.judgeLast(last.gather(4))
}

// judgeLast: everybody has replied or is dead, but who never came, who has left, and who cannot be read.
func (s *scene) judgeLast(g *gathering) {
	for _, m := range g.round.Members() {
		last := s.lastSeen(m.ID)
		excused := last == 0 || m.ID == s.spoilt || s.ended(work.Owner{ID: m.ID, Incarnation: last}, work.Left)
		switch {
		case m.State != round.Silent || s.until(g.round.Members()) || excused:
		case s.spoils:
			s.broken("S7: %s neither replies nor is found dead, beside a broken record of %s", m.ID, s.spoilt)
		default:
			s.broken("G3: %s neither replies nor is found dead", m.ID)
		}
	}
}
