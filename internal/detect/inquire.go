package detect

import (
	"cmp"
	"errors"
	"slices"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/store"
)

// inquire asks about everybody of whom it is not plain that he lives: is he over, and was everything done about it?
func (p *pass) inquire() {
	for batch := range slices.Chunk(p.doubtful(), atOnce/2) {
		ops := make([]store.Op, 0, 2*len(batch))
		for _, m := range batch {
			ops = append(ops, store.GetOp(p.Space.Handled(m.id, m.incarnation)),
				store.GetOp(p.Space.Dead(m.id, m.incarnation).Decision()))
		}
		results := store.Batch(p.ctx, p.Store, ops)
		for i, m := range batch {
			p.answer(m, results[2*i], results[2*i+1])
		}
	}
	p.forget()
}

// forget is the end of those about whom everything was done.
func (p *pass) forget() {
	handled := slices.DeleteFunc(slices.Clone(p.round), func(m *member) bool { return !m.handled })
	if len(handled) > 0 {
		p.retain(func(m *member) bool { return !m.handled })
		p.index.strangers = slices.DeleteFunc(p.index.strangers, func(m *member) bool { return m.handled })
		p.drop(handled)
	}
}

func (p *pass) doubtful() (all []*member) {
	for _, m := range p.round {
		if m.fresh || m.over() || m.tried || m.heard == nothing || p.mute(m) || m.heard == newBeat && m.warned > 0 {
			all = append(all, m)
		}
	}
	return all
}

// mute: the silence of m counts, and was looked at in this pass.
func (p *pass) mute(m *member) bool {
	return !m.over() && m.heard != unread && m.heard != newBeat && m.silence.length() >= p.Policy.Stale
}

// answer draws the consequences of what stands about the end of m.
func (p *pass) answer(m *member, handled, decided store.Result) {
	done, err := stands(handled)
	if done && p.Handled != nil {
		done, err = p.Handled(p.ctx, m.id, m.incarnation, !m.fresh || m.dead)
	}
	ended, doubt := stands(decided)
	switch {
	case done && m.tried && !m.dead && p.claim(m) && !m.dead: // D4: others were quick, and perhaps I must say it
	case done:
		m.handled = true
	case err != nil || doubt != nil:
		p.missed(m, cmp.Or(err, doubt))
	case ended || m.dead:
		p.over(m)
	default:
		p.lives(m)
	}
}

// stands reports whether a record is there. What has the wrong type is none.
func stands(r store.Result) (bool, error) {
	if errors.Is(r.Err, store.ErrNotFound) || errors.Is(r.Err, store.ErrWrongType) {
		return false, nil
	}
	return r.Err == nil, r.Err
}

// over: a decision seems to stand.
func (p *pass) over(m *member) {
	decided, reason, err := p.Dead(p.ctx, m.id, m.incarnation)
	switch {
	case err != nil:
		p.missed(m, err)
	case !decided && !m.dead:
		p.lives(m)
	case m.tried && !m.dead && p.claim(m):
	default:
		m.dead = true // D5: from here on nobody listens to its beats
		p.report(Gone{m.id, m.incarnation, reason})
	}
}

// lives: no decision stands.
func (p *pass) lives(m *member) {
	m.fresh, m.sure = false, true
	if m.hidden {
		p.report(Superseded{m.id, m.incarnation})
	}
	if m.heard == newBeat && m.warned > 0 {
		p.report(Recovered{m.id, m.incarnation, m.warned})
		m.warned = 0 // the warnings are void: they name a lower beat
	}
}

// claim reports whether the decision that stands is mine after all: its answer was lost.
func (p *pass) claim(m *member) bool {
	mine, err := p.Decide(p.ctx, m.id, m.incarnation, m.seq, m.silence.length())
	if m.dead = err == nil && mine; m.dead {
		p.report(Dead{m.id, m.incarnation, m.silence.length(), true})
	}
	p.undecided(err)
	return m.dead || err != nil // unknown: at the next pass
}

// decide proposes that m is dead. The outcome may be unknown; then it is asked for at every later pass.
func (p *pass) decide(m *member) {
	m.tried = true
	mine, err := p.Decide(p.ctx, m.id, m.incarnation, m.seq, m.silence.length())
	if err == nil {
		m.dead = true // D4: and never proposed again
		p.report(Dead{m.id, m.incarnation, m.silence.length(), mine})
	}
	p.undecided(err)
}

// undecided: that others propose too is no failure.
func (p *pass) undecided(err error) {
	if err != nil && !errors.Is(err, agree.ErrAgain) {
		p.fail(err)
	}
}
