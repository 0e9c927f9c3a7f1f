package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// pass is one Check.
type pass struct {
	*Watch
	ctx      context.Context
	began    time.Time
	unsure   bool // whether the store lost its data: nobody is accused
	findings []Finding
	failures []error
}

func (p *pass) report(f Finding) { p.findings = append(p.findings, f) }

// fail notes a failure; the first few tell enough.
func (p *pass) fail(err error) {
	if len(p.failures) < 4 && !slices.ContainsFunc(p.failures, func(e error) bool { return errors.Is(err, e) }) {
		p.failures = append(p.failures, err)
	}
}

func (p *pass) err() error { return errors.Join(p.failures...) }

func (p *pass) refuse(err error) {
	if p.Refused != nil {
		p.Refused(err)
	}
}

// limit is how long a monitor may be away before it doubts itself: two Checks, but not so long that a beat could have come
// and expired meanwhile. (A TTL that is shorter than one Check and a half breaks Policy's demand: then somebody may be
// found too early, but not never.)
func (p *pass) limit() time.Duration {
	return min(2*p.Policy.Check, max(p.Policy.TTL, p.Policy.Check*3/2))
}

// stalled: this pass took so long that what it saw is old. A monitor that was stopped in its midst accuses nobody.
func (p *pass) stalled() bool { return p.Now().Sub(p.began) > p.limit() }

var errLost = fmt.Errorf("%w: its generation is gone", ticketlog.ErrRegressed)

// recognise: D2, the registry may be as long again as it was before the store lost its data, and who has joined since may
// bear the number of one who did before, and beat below what I have heard of that one. Nobody registers before the new
// generation stands. It is read before all else, so that all that is known is of one generation.
func (p *pass) recognise() {
	value, err := p.Store.Get(p.ctx, p.Space.Generation())
	stands, err := stands(store.Result{Err: err})
	if p.unsure = err != nil; p.unsure {
		p.fail(err)
		return
	}
	before := p.generation
	if p.generation = ""; stands {
		p.generation = p.named(value)
	}
	if before != "" && p.generation != before {
		p.Regressed()
		p.fail(errLost)
	}
}

// named returns the name of a generation, "" where nobody signed it.
func (p *pass) named(value []byte) string {
	g, err := envelope.OpenJSON[struct{ Generation string }](p.Ring, envelope.KindGeneration, value)
	if err != nil {
		p.refuse(err)
	}
	return g.Generation
}

// enrol takes in who registered. Where it fails, those who are known are watched all the same.
func (p *pass) enrol() {
	if err := p.position(); err != nil {
		p.fail(err)
		return
	}
	entries, err := p.reader.Read(p.ctx)
	for _, e := range entries {
		p.register(e.Value)
	}
	switch {
	case errors.Is(err, ticketlog.ErrRegressed):
		p.forgetEverybody()
		p.fail(err)
	case err != nil:
		p.fail(err)
	default:
		p.caught = p.caught || p.reader.Lowest() > 1 || p.reader.Idle(0)
	}
}

// position places the reader, once.
func (p *pass) position() error {
	if p.placed {
		return nil
	}
	p.reader.Log = ticketlog.Log{Store: p.Store, Keys: p.Space.Members(), Times: p.Times, Now: p.Now}
	if err := p.reader.Recover(p.ctx); err != nil {
		return err
	}
	p.placed = true
	return nil
}

func (p *pass) register(entry []byte) {
	m, err := envelope.OpenMember(p.Ring, entry)
	if err != nil {
		p.refuse(err)
		return
	}
	since := time.Time{}
	if p.caught {
		since = p.began // it registered after the last pass; to count from now is not too early
	}
	p.enlist(m.ID, m.Incarnation, since)
}

// listen reads the heartbeats: one Get for each candidate, and nothing else.
func (p *pass) listen() {
	for batch := range slices.Chunk(p.candidates(), atOnce) {
		ops := make([]store.Op, len(batch))
		for i, m := range batch {
			ops[i] = store.GetOp(p.Space.Heartbeat(m.id))
		}
		asked := p.Now()
		results := store.Batch(p.ctx, p.Store, ops)
		answered := p.Now()
		for i, m := range batch {
			p.hear(m, results[i], asked, answered)
			p.settle(m)
		}
	}
}

// hear takes in what stands where the heartbeat of m should.
func (p *pass) hear(m *member, r store.Result, asked, answered time.Time) {
	switch {
	case r.Err == nil:
		p.read(m, r.Value, asked, answered)
	case errors.Is(r.Err, store.ErrNotFound):
		m.heard = nothing
		p.silent(m, asked, answered)
		p.gone(m, asked)
	case errors.Is(r.Err, store.ErrWrongType): // nobody's beat
		m.heard = noNews
		p.silent(m, asked, answered)
	default:
		m.silence.blind = true // D2: silence does not grow across a failed poll
		p.missed(m, r.Err)
	}
}

// missed: in this pass nobody looks whether the warnings of m stand.
func (p *pass) missed(m *member, err error) {
	m.standing.blind = true
	p.fail(err)
}

// read takes in what stands as the heartbeat of m.
func (p *pass) read(m *member, value []byte, asked, answered time.Time) {
	beat, err := envelope.OpenHeartbeat(p.Ring, m.id, value)
	if err != nil { // no life, and no reason to doubt the store
		p.refuse(err)
		beat = &envelope.Heartbeat{}
	}
	if beat.Incarnation > m.incarnation { // its registration was not read yet
		p.silent(m, asked, answered)
		m = p.enlist(m.id, beat.Incarnation, p.began)
	}
	switch m.heard = noNews; {
	case beat.Incarnation != m.incarnation || beat.Seq < m.seq || beat.Seq == 0:
	case beat.Seq == m.seq:
		m.heard = lastBeat
	default: // R6: life is what rises before my eyes
		m.seq, m.heard, m.blurred = beat.Seq, newBeat, false
		m.silence.restart(answered)
		return
	}
	p.silent(m, asked, answered)
}

// silent counts the silence of m up to asked.
func (p *pass) silent(m *member, asked, answered time.Time) {
	if !m.silence.begun() {
		p.hush(m, asked, answered)
		return
	}
	away := asked.Sub(m.silence.last)
	m.silence.look(asked, p.limit())
	if away > p.Policy.TTL && m.heard != lastBeat { // it may have beaten, and the beat expired
		m.blurred, m.warned = true, 0
		m.silence.atMost(p.proven())
	}
}

// hush begins the silence of one who was never heard.
func (p *pass) hush(m *member, asked, answered time.Time) {
	m.blurred = true
	m.silence.restart(answered)
	if m.heard != nothing || !m.since.IsZero() {
		return
	}
	m.silence.restart(asked)
	m.silence.from = asked.Add(-p.proven())
}
