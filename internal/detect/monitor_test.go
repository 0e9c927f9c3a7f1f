package detect_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/store"
)

// monitor is a process with a Watch, which checks every Policy.Check.
type monitor struct {
	w       *ward
	name    string
	lives   int
	born    time.Duration // when its present life first saw everything
	settled bool          // it has
	skew    time.Duration // of its clock
	watch   *detect.Watch
	away    bool // stopped: SIGSTOP
	cut     bool // from the store
	lazy    bool // does not hand over
	reports []detect.Finding
	last    error
}

// hire adds a monitor whose checks begin at phase.
func (w *ward) hire(name string, phase time.Duration) *monitor {
	m := &monitor{w: w, name: name}
	w.monitors = append(w.monitors, m)
	m.restart()
	w.clock.AfterFunc(phase, m.tick)
	return m
}

// restart gives it a new Watch, which knows nothing.
func (m *monitor) restart() {
	m.lives++
	m.born, m.settled = m.w.now(), false
	m.w.note("%s starts", m.name)
	me := eye{m.w.mem, m}
	m.watch = &detect.Watch{
		Store: me, Space: space, Ring: ring, Policy: m.w.policy, Times: times, Name: fmt.Sprint(m.name, m.lives),
		Now: func() time.Time { return m.w.clock.Now().Add(m.skew) },
		Decide: func(_ context.Context, id string, incarnation int64, seq uint64, silent time.Duration) (bool, error) {
			return m.decide(me, id, incarnation, silent)
		},
		Dead: func(_ context.Context, id string, incarnation int64) (bool, string, error) {
			reason, err := agree.Decided(ctx, me, names(id, incarnation), plain{})
			if errors.Is(err, store.ErrNotFound) {
				return false, "", nil
			}
			return err == nil, string(reason), err
		},
	}
	m.watch.Few = m.w.fewer
}

func (m *monitor) isolate(lasts time.Duration) {
	m.cut = true
	m.w.note("%s is cut off for %v", m.name, lasts)
	m.w.clock.AfterFunc(lasts, func() { m.cut = false })
}

func (m *monitor) stall(lasts time.Duration) {
	m.away = true
	m.w.note("%s stops for %v", m.name, lasts)
	m.w.clock.AfterFunc(lasts, func() { m.away = false })
}

func (m *monitor) tick() {
	m.w.clock.AfterFunc(m.w.policy.Check, m.tick)
	if !m.away {
		m.check()
	}
}

func (m *monitor) check() []detect.Finding {
	m.w.checks++
	if !m.settled {
		m.born = m.w.now()
	}
	report, err := m.w.check(m.watch, ctx)
	m.last, m.settled = err, m.settled || err == nil
	for _, f := range report.Findings {
		if _, again := f.(detect.Gone); !again || m.lazy {
			m.w.note("%s: %T%+v", m.name, f, f)
		}
		m.act(f)
	}
	m.reports = append(m.reports, report.Findings...)
	return report.Findings
}

// act is what the caller of Check does.
func (m *monitor) act(f detect.Finding) {
	switch f := f.(type) {
	case detect.Dead:
		m.w.pronounced(m, f)
		m.handOver(f.ID, f.Incarnation)
	case detect.Gone:
		m.handOver(f.ID, f.Incarnation)
	case detect.Superseded:
		if p := m.w.patient(f.ID); f.Incarnation >= p.incarnation {
			m.w.fail("D2: %s takes %s/%d for superseded", m.name, f.ID, f.Incarnation)
		}
		m.w.decide(eye{m.w.mem, m}, f.ID, f.Incarnation, "superseded by "+m.name)
	}
}

func (m *monitor) handOver(id string, incarnation int64) {
	if !m.lazy {
		_ = eye{m.w.mem, m}.SetEX(ctx, space.Handled(id, incarnation), []byte("1"), times.Entry)
	}
}

func (m *monitor) decide(s store.Store, id string, incarnation int64, silent time.Duration) (bool, error) {
	m.w.condemned(m, id, incarnation)
	if m.w.alone {
		return true, nil
	}
	value := fmt.Sprintf("silent, says %s%d", m.name, m.lives)
	_, mine, err := agree.Attempt(ctx, s, names(id, incarnation), plain{}, agree.TTLs{}, []byte(value))
	return mine, err
}

// eye is a monitor's view of the store.
type eye struct {
	store.Store
	m *monitor
}

func (e eye) refused() error {
	e.m.w.ops++
	if e.m.w.down || e.m.cut {
		return errDown
	}
	return nil
}

// Capabilities: the late index where the ward has one, and nothing else.
func (e eye) Capabilities() store.Capabilities {
	if e.m.w.fewer == 0 {
		return store.Capabilities{}
	}
	return store.Capabilities{Late: glass{e}}
}

// glass is a monitor's view of the late index.
type glass struct{ e eye }

func (g glass) Touch(context.Context, string, time.Duration, ...string) error {
	panic("a monitor does not touch")
}

func (g glass) Count(ctx context.Context, index string) (int64, error) {
	if err := g.e.refused(); err != nil {
		return 0, err
	}
	return g.e.m.w.mem.Count(ctx, index)
}

func (g glass) Counts(ctx context.Context, index string, members ...string) ([]int64, error) {
	if err := g.e.refused(); err != nil {
		return nil, err
	}
	return g.e.m.w.mem.Counts(ctx, index, members...)
}

func (g glass) Late(ctx context.Context, index string, count int64, limit int) ([]string, error) {
	if err := g.e.refused(); err != nil {
		return nil, err
	}
	return g.e.m.w.mem.Late(ctx, index, count, limit)
}

func (g glass) Drop(ctx context.Context, index string, members ...string) error {
	if err := g.e.refused(); err != nil {
		return err
	}
	return g.e.m.w.mem.Drop(ctx, index, members...)
}

func (e eye) Get(ctx context.Context, key string) ([]byte, error) {
	if err := e.refused(); err != nil {
		return nil, err
	}
	return e.Store.Get(ctx, key)
}

func (e eye) Incr(ctx context.Context, key string) (int64, error) {
	if err := e.refused(); err != nil {
		return 0, err
	}
	n, err := e.Store.Incr(ctx, key)
	if strings.HasPrefix(key, space.Prefix()+"warning:") {
		e.m.w.warned(e.m, key+":"+strconv.FormatInt(n, 10)) // R7: a mutant counts
	}
	return n, err
}

func (e eye) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := e.refused(); err != nil {
		return nil, err
	}
	return e.Store.Keys(ctx, prefix)
}

func (e eye) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := e.refused(); err != nil {
		return err
	}
	if strings.HasPrefix(key, space.Prefix()+"warning:") {
		e.m.w.warned(e.m, key)
	}
	return e.Store.SetEX(ctx, key, value, ttl)
}

// warned judges a warning at the moment when it is written.
func (w *ward) warned(m *monitor, key string) {
	part := strings.Split(strings.TrimPrefix(key, space.Prefix()+"warning:"), ":")
	incarnation, _ := strconv.ParseInt(part[1], 10, 64)
	k, _ := strconv.Atoi(part[3])
	w.accused(m, part[0], incarnation, k)
	before := strings.Join(append([]string{space.Prefix() + "warning"}, part[:3]...), ":")
	w.counted(before, k)
}

// accused: D2.
func (w *ward) accused(m *monitor, id string, incarnation int64, k int) {
	p := w.patient(id)
	if p != nil && !p.shown && m.born >= p.beaten {
		return // it registered, did not beat, and m, which came later, cannot know that this was just now
	}
	switch {
	case p == nil || incarnation > p.incarnation:
		w.fail("D2: %s warns %s/%d, who is nobody", m.name, id, incarnation)
	case w.left[end(id, incarnation)]:
		w.fail("D2: %s warns %s/%d, who left", m.name, id, incarnation)
	case incarnation < p.incarnation:
		w.fail("D2: %s warns %s/%d, who is superseded", m.name, id, incarnation)
	case m.born >= p.beaten && w.now()-m.born < w.policy.Beat+w.policy.Check:
		w.fail("D2: %s, which began after the last beat, warns %s/%d after only %v", m.name, id, incarnation, w.now()-m.born)
	case m.born < p.beaten && p.alive && !p.cut && w.now()-p.visible < w.policy.Stale-w.policy.Check: // the last beat may have fallen between two looks
		w.fail("D2: %s warns %s/%d, who lives, after a visible gap of %v", m.name, id, incarnation, w.now()-p.visible)
	case !p.lost && w.now()-p.beaten < w.policy.Stale:
		w.fail("D2: %s warns %s/%d after a gap of %v", m.name, id, incarnation, w.now()-p.beaten)
	}
}

// counted: D3.
func (w *ward) counted(name string, k int) {
	key := name + ":" + strconv.Itoa(k)
	at := w.clock.Now()
	if was, stands := w.facts[key]; stands && at.Sub(was) < w.policy.Window {
		w.fail("D3: warning %d of %s is written again after %v", k, name, at.Sub(was))
	}
	if k < 1 || k > w.policy.Warnings {
		w.fail("D3: warning %d of %d", k, w.policy.Warnings)
	}
	if was, stood := w.facts[name+":"+strconv.Itoa(k-1)]; k > 1 && (!stood || at.Sub(was) < w.policy.Spacing) {
		w.fail("D3: warning %d of %s follows %v after the one before", k, name, at.Sub(was))
	}
	w.facts[key] = at
}

// condemned judges that a monitor proposes a death.
func (w *ward) condemned(m *monitor, id string, incarnation int64) {
	p := w.patient(id)
	least := w.policy.Stale + time.Duration(w.policy.Warnings-1)*w.policy.Spacing
	switch {
	case p == nil || incarnation != p.incarnation || !p.shown && m.born >= p.beaten:
	case p.alive && !p.lost && w.now()-p.beaten < least:
		w.fail("D1: %s decides that %s/%d is dead %v after its last beat", m.name, id, incarnation, w.now()-p.beaten)
	}
}

// pronounced judges a death that a monitor reports: D4, and the lower bound of D1.
func (w *ward) pronounced(m *monitor, f detect.Dead) {
	if !f.Mine {
		return
	}
	who := end(f.ID, f.Incarnation)
	if w.deaths[who]++; w.deaths[who] > 1 || w.left[who] {
		w.fail("D4: %s is decided dead again, by %s", who, m.name)
	}
	p := w.patient(f.ID)
	if low, high := detect.Scheduled(w.policy, w.jitter); w.calm && !p.alive && p.shown && f.Incarnation == p.incarnation && p.died > 0 {
		age := w.now() - p.died
		w.found++
		w.ends[0] = min(w.ends[0], float64(age-low)/float64(w.policy.Check))
		w.ends[1] = min(w.ends[1], float64(high-age)/float64(w.policy.Check))
		if w.fewer != 0 && w.policy.TTL%w.policy.Check != 0 {
			low, high = low-w.policy.Check, high+w.policy.Check
		}
		if age < low || age > high {
			w.fail("D1: %s is found dead after %v, not within %v to %v", who, age, low, high)
		}
	}
}

func (w *ward) patient(id string) *patient {
	for _, p := range w.patients {
		if p.id == id {
			return p
		}
	}
	return nil
}

// complete: D1, whoever died is decided by now, once, and nobody else.
func (w *ward) complete() {
	for _, p := range w.patients {
		if p.losses != w.losses {
			continue // the store knows nothing of it any more
		}
		if !p.alive && p.incarnation > 0 && !w.over(p.id, p.incarnation) && w.deaths[end(p.id, p.incarnation)] == 0 {
			w.fail("D1: nobody found that %s/%d died at %v", p.id, p.incarnation, p.died)
		}
		for n := p.first; n < p.incarnation; n++ {
			if !w.over(p.id, n) {
				w.fail("%s/%d is superseded and nobody says so", p.id, n)
			}
		}
	}
}
