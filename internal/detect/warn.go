package detect

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// warning is the fact that an incarnation earned its k-th warning since its beat seq.
type warning struct {
	V           int    `json:"v"`
	ID          string `json:"coordinatorId"`
	Incarnation int64  `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	K           int    `json:"k"`
	Of          int    `json:"of"`
	Timestamp   int64  `json:"timestamp"` // ms; no verdict depends on it, it tells one writing from another
	Silent      int64  `json:"silentMs"`  // for people to read
	By          string `json:"by,omitempty"`
}

// escalate sees to everybody whose silence counts and who is not over.
func (p *pass) escalate() {
	if len(p.accused()) > 0 {
		p.recognise() // once more: or their silence might be of one generation, and what I know of them of another
	}
	of := p.Policy.Warnings
	for batch := range slices.Chunk(p.accused(), max(1, atOnce/of)) {
		ops := make([]store.Op, 0, of*len(batch))
		for _, m := range batch {
			for k := 1; k <= of; k++ {
				ops = append(ops, store.GetOp(p.Space.Warning(m.id, m.incarnation, m.seq, k)))
			}
		}
		results := store.Batch(p.ctx, p.Store, ops)
		answered := p.Now()
		for i, m := range batch {
			p.accuse(m, results[of*i:of*i+of], answered)
		}
	}
}

func (p *pass) accused() (all []*member) {
	for _, m := range p.round {
		if m.sure && !p.unsure && p.mute(m) {
			all = append(all, m)
		}
	}
	return all
}

// accuse is one step towards the end of m: at most one warning, and the decision after the last.
func (p *pass) accuse(m *member, facts []store.Result, answered time.Time) {
	if err := store.FirstError(facts); err != nil && !errors.Is(err, store.ErrWrongType) {
		p.missed(m, err)
		return
	}
	p.witness(m, facts, answered)
	if m.warned < p.Policy.Warnings && p.due(m) && !p.stalled() {
		p.warn(m)
	}
	if m.warned == p.Policy.Warnings && !p.stalled() {
		p.decide(m)
	}
}

// due: R7, the warning before has stood for the spacing before my own eyes.
func (p *pass) due(m *member) bool {
	return m.warned == 0 || m.standing.length() >= p.Policy.Spacing
}

// witness takes in which warnings stand, from the first without a gap. Those behind a gap count when it is closed.
func (p *pass) witness(m *member, facts []store.Result, answered time.Time) {
	stand := p.standing(m, facts)
	same := m.standing.begun() && m.warned <= len(stand) &&
		(m.warned == 0 || bytes.Equal(facts[m.warned-1].Value, m.fact)) // it did not expire and come again
	if same {
		m.standing.look(m.silence.last, p.limit()) // up to there it was silent, too
	}
	if m.blurred {
		stand = stand[:min(len(stand), p.own(m, same))]
	}
	if same && m.warned == len(stand) {
		return
	}
	p.count(m, stand)
	if m.fact = nil; m.warned > 0 {
		m.fact = facts[m.warned-1].Value
	}
	m.standing.restart(answered)
}

// own is how many warnings count where a beat of m may have come and gone unseen. Those that name the last one that I saw
// may be of an earlier silence. So each counts only when I would have written it myself.
func (p *pass) own(m *member, same bool) int {
	if m.warned == 0 || same && p.due(m) {
		return m.warned + 1
	}
	return m.warned
}

func (p *pass) count(m *member, stand []warning) {
	for k := m.warned; k < len(stand); k++ {
		p.reportWarned(m, k+1, stand[k].By == p.Name && p.Name != "")
	}
	m.warned = len(stand)
}

// standing returns the warnings that stand, up to the first that does not.
func (p *pass) standing(m *member, facts []store.Result) (stand []warning) {
	for i, r := range facts {
		f, ok := p.fact(m, i+1, r)
		if !ok {
			break
		}
		stand = append(stand, f)
	}
	return stand
}

// fact verifies warning k. What does not verify is no warning, and is written over.
func (p *pass) fact(m *member, k int, r store.Result) (warning, bool) {
	if r.Err != nil {
		return warning{}, false
	}
	f, err := envelope.OpenJSON[warning](p.Ring, envelope.KindWarning, r.Value, place(m, k)...)
	if err != nil {
		p.refuse(err)
	}
	return f, err == nil
}

// place is what a warning's signature is bound to.
func place(m *member, k int) []string {
	return []string{m.id, strconv.FormatInt(m.incarnation, 10), strconv.FormatUint(m.seq, 10), strconv.Itoa(k)}
}

// warn writes the next warning. After an error it may stand, now or later: the next pass sees.
func (p *pass) warn(m *member) {
	k := m.warned + 1
	sealed, err := envelope.SealJSON(p.Ring, envelope.KindWarning, warning{
		V: 1, ID: m.id, Incarnation: m.incarnation, Seq: m.seq, K: k, Of: p.Policy.Warnings,
		Timestamp: p.Now().UnixMilli(), Silent: m.silence.length().Milliseconds(), By: p.Name,
	}, place(m, k)...)
	if err == nil {
		err = p.Store.SetEX(p.ctx, p.Space.Warning(m.id, m.incarnation, m.seq, k), sealed, p.Policy.Window)
	}
	if err != nil {
		p.fail(err)
		return
	}
	m.warned, m.fact = k, sealed
	m.standing.restart(p.Now())
	p.reportWarned(m, k, true)
}

func (p *pass) reportWarned(m *member, k int, mine bool) {
	p.report(Warned{m.id, m.incarnation, k, p.Policy.Warnings, m.silence.length(), mine})
}
