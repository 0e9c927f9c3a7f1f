package detect

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mutant is Check with a rule left out or replaced, or with one of the revived defects.
type Mutant struct {
	KeysOnly    bool // R5: only those whose heartbeat is there are watched
	SenderAge   bool // R6: the age of a beat is by its sender's clock
	Counter     bool // R7: warnings are counted by Incr and Expire
	NoDoubt     bool // silence grows across a gap of the monitor's own
	Deaf        bool // silence grows across a failed poll
	Hasty       bool // warnings without spacing
	Everlasting bool // a new beat does not void the warnings
	Forgetful   bool // any beat that stands is life, not only one that rises
	Gullible    bool // a beat that nobody signed is life
	Inattentive bool // who left is not asked for
	Private     bool // the warnings of others are not read, one's own are remembered
	Unbegun     bool // the silence of one who was never heard and is absent never begins
	Impatient   bool // it begins at Stale
	Registered  bool // it begins at TTL also for those who registered while the monitor watched
	Sparing     bool // it begins at TTL however little that leaves
	Remembering bool // an absent heartbeat after a gap proves all the silence before it
	Trusting    bool // warnings count also where a beat may have come and gone unseen
	Rash        bool // that a pass took long is not noticed
	Early       bool // silence counts from when the question was sent
	Blurred     bool // superseded incarnations are forgotten
	Believing   bool // what the late index calls on time is believed for ever
	Strange     bool // whom the late index does not hold is not looked at
	Indexed     bool // silence is counted from the index's time
	Undoubting  bool // what is made up for counts across looks that failed, and gaps
	Oblivious   bool // the generation of the store's data is not looked at
	Once        bool // it is looked at before all else, but not before somebody is accused
	Mourning    bool // the dead are remembered although the store lost its data
}

// Remembered is how many w still thinks of, one way or another.
func (w *Watch) Remembered() int { return len(w.members) + len(w.round) + len(w.index.strangers) }

// Check is Watch.Check but for the mutations.
func (x Mutant) Check(w *Watch, ctx context.Context) (Report, error) {
	p := &pass{Watch: w, ctx: ctx, began: w.Now()}
	x.begin(p)
	x.before(p)
	x.index(p)
	known, silences, quiets := slices.Clone(p.members), silences(p), quiets(p)
	p.listen()
	if x.Undoubting {
		undoubting(p, known, quiets)
	}
	if x.Remembering {
		remember(p, known, silences)
	}
	x.since(p)
	x.between(p)
	if x.Inattentive {
		inattentive(p)
	} else {
		p.inquire()
	}
	x.after(p)
	if x.Counter {
		x.count(p)
	} else {
		x.escalate(p)
	}
	return Report{p.findings}, p.err()
}

// begin is recognise and enrol.
func (x Mutant) begin(p *pass) {
	dead := slices.DeleteFunc(slices.Clone(p.members), func(m *member) bool { return !m.dead })
	for _, step := range []func(){p.recognise, p.enrol} {
		if x.Oblivious {
			p.generation = ""
		}
		if step(); x.Mourning && len(p.members) == 0 {
			p.members = dead
			p.invite(dead...)
		}
	}
}

func silences(p *pass) (all []span) {
	for _, m := range p.members {
		all = append(all, m.silence)
	}
	return all
}

func remember(p *pass, known []*member, silences []span) {
	for i, m := range known {
		if s := silences[i]; m.heard == nothing && s.begun() {
			s.look(p.began, p.limit())
			m.silence = s
		}
	}
}

// inattentive asks only who was superseded or is known to be dead.
func inattentive(p *pass) {
	everybody := p.round
	p.round = slices.DeleteFunc(slices.Clone(everybody), func(m *member) bool { return !m.over() })
	p.inquire()
	p.round = everybody
	for _, m := range p.round {
		if m.heard != unread && !m.over() {
			p.lives(m)
		}
	}
}

func (x Mutant) before(p *pass) {
	if x.Blurred {
		p.retain(func(m *member) bool { return !m.hidden })
	}
	if x.KeysOnly {
		x.keysOnly(p)
	}
	for _, m := range p.members {
		x.forget(p, m)
		if m.silence.begun() {
			x.trust(p, m)
		}
	}
}

func (x Mutant) forget(p *pass, m *member) {
	if x.Forgetful {
		m.seq = 0
	}
	if x.Registered {
		m.since = time.Time{}
	}
	if x.Impatient && !m.silence.begun() {
		m.silence = span{from: p.began.Add(-p.Policy.Stale), last: p.began}
	}
	if x.Sparing && !m.silence.begun() && m.since.IsZero() {
		m.silence = span{from: p.began.Add(-p.Policy.TTL), last: p.began}
	}
}

// trust makes time count that should not.
func (x Mutant) trust(p *pass, m *member) {
	if x.NoDoubt && p.began.Sub(m.silence.last) > p.limit() && !m.silence.blind {
		m.silence.last, m.standing.last = p.began, p.began
	}
	if x.Deaf && m.silence.blind {
		m.silence.last, m.silence.blind = p.began, false
		m.standing.last, m.standing.blind = p.began, false
	}
}

func (x Mutant) keysOnly(p *pass) {
	listed, err := p.Store.Keys(p.ctx, p.Space.HeartbeatPrefix())
	if err != nil {
		return
	}
	all := strings.Join(listed, " ") + " "
	p.retain(func(m *member) bool { return strings.Contains(all, p.Space.Heartbeat(m.id)+" ") })
}

func (x Mutant) between(p *pass) {
	for _, m := range p.members {
		if x.Early && m.heard == newBeat {
			m.silence.restart(p.began)
		}
		if x.SenderAge || x.Gullible {
			x.listen(p, m)
		}
		if x.Unbegun && m.seq == 0 && m.heard == nothing && m.since.IsZero() {
			m.silence = span{}
		}
	}
}

// listen is how the walkthrough reads a heartbeat.
func (x Mutant) listen(p *pass, m *member) {
	raw, err := p.Store.Get(p.ctx, p.Space.Heartbeat(m.id))
	if err != nil || m.over() {
		return
	}
	var beat struct {
		Incarnation, Timestamp int64
		Seq                    uint64
	}
	if json.Unmarshal(raw, &beat) != nil || beat.Incarnation != m.incarnation {
		return
	}
	if x.SenderAge && m.seq == beat.Seq {
		m.silence.from, m.heard = time.UnixMilli(beat.Timestamp), noNews
	}
	if x.Gullible && beat.Seq > m.seq {
		m.seq, m.heard = beat.Seq, newBeat
		m.silence.restart(p.began)
	}
}

func (x Mutant) after(p *pass) {
	if x.Rash {
		p.began = p.Now()
	}
	for _, m := range p.members {
		if x.Hasty {
			m.standing.from = m.standing.from.Add(-p.Policy.Spacing)
		}
	}
}

// escalate names warnings otherwise, or does not read them.
func (x Mutant) escalate(p *pass) {
	seqs := make([]uint64, len(p.members))
	for i, m := range p.members {
		seqs[i] = m.seq
		if x.Everlasting {
			m.seq = 1 << 40
		}
		if x.Trusting {
			m.blurred = false
		}
	}
	switch {
	case x.Private:
		x.private(p)
	case x.Once:
		known := p.generation
		p.generation = ""
		p.escalate()
		p.generation = known
	default:
		p.escalate()
	}
	for i, m := range p.members {
		m.seq = seqs[i]
	}
}

func (x Mutant) private(p *pass) {
	for _, m := range p.accused() {
		if m.standing.begun() {
			m.standing.look(p.began, p.limit())
		}
		if m.warned < p.Policy.Warnings && p.due(m) {
			p.warn(m)
		}
		if m.warned == p.Policy.Warnings {
			p.decide(m)
		}
	}
}

// count is the walkthrough's way of warning.
func (x Mutant) count(p *pass) {
	for _, m := range p.accused() {
		key := "t:warning:" + m.id + ":" + strconv.FormatInt(m.incarnation, 10) + ":0"
		n, err := p.Store.Incr(p.ctx, key)
		if err != nil {
			continue
		}
		_, _ = p.Store.Expire(p.ctx, key, p.Policy.Window)
		if m.warned = int(n); m.warned >= p.Policy.Warnings {
			p.decide(m)
		}
	}
}

// index misuses the late index.
func (x Mutant) index(p *pass) {
	if x.Believing {
		p.Few = -1
	}
	if x.Strange {
		for _, m := range p.members {
			m.indexed, m.watched = true, false
		}
		p.index.strangers = nil
	}
}

// since counts the silence of those whom the index calls late from its time.
func (x Mutant) since(p *pass) {
	for _, m := range p.round {
		if x.Indexed && !m.quiet.IsZero() && m.silence.from.After(m.quiet) {
			m.silence.from = m.quiet
		}
	}
}

// undoubting remembers who was quiet across everything but a beat.
func undoubting(p *pass, known []*member, quiet []time.Time) {
	for i, m := range known {
		if m.quiet.IsZero() && m.heard != newBeat && !quiet[i].IsZero() {
			m.quiet = quiet[i]
			if m.heard == nothing {
				p.gone(m, p.began)
			}
		}
	}
}

func quiets(p *pass) (all []time.Time) {
	for _, m := range p.members {
		all = append(all, m.quiet)
	}
	return all
}
