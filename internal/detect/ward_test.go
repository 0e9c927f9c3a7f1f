package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

var (
	ctx   = context.Background()
	space = keys.In("t")
	ring  = must(envelope.NewRing("t", envelope.Key{Secret: []byte(strings.Repeat("k", 32))}))
	alien = must(envelope.NewRing("t", envelope.Key{Secret: []byte(strings.Repeat("x", 32))}))
	times = ticketlog.Times{Entry: 720 * time.Hour, Tail: 720 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second}

	defaults = detect.Policy{
		Beat: 5 * time.Second, TTL: 90 * time.Second, Stale: 120 * time.Second,
		Warnings: 3, Spacing: 60 * time.Second, Window: 300 * time.Second, Check: 10 * time.Second,
	}
	errDown = errors.New("no answer")
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// procedure is Watch.Check, or a mutant of it.
type procedure func(w *detect.Watch, ctx context.Context) (detect.Report, error)

// ward is members and monitors on fake time, where every operation takes none. It judges while it runs.
type ward struct {
	policy detect.Policy
	jitter time.Duration // by how much beats are late, at most
	late   func() time.Duration
	check  procedure
	alone  bool // monitors decide without agreement
	fewer  int  // how many a monitor reads without asking the late index; 0: there is none

	clock    *memstore.FakeClock
	start    time.Time
	mem      *memstore.Store
	patients []*patient
	monitors []*monitor
	down     bool // the store answers nobody
	losses   int  // of all its data
	calm     bool // nothing disturbs the monitors: the bounds hold

	facts  map[string]time.Time // when each warning was last written
	deaths map[string]int       // decisions by those whose they were
	left   map[string]bool
	checks int
	found  int        // deaths
	ends   [2]float64 // how near to the bounds they came, in Checks
	ops    int
	trace  []string
	wrong  string
}

func newWard(p detect.Policy) *ward {
	clock := memstore.NewFakeClock(time.Time{})
	w := &ward{
		policy: p, late: func() time.Duration { return 0 }, check: (*detect.Watch).Check,
		clock: clock, start: clock.Now(), mem: memstore.New(memstore.WithClock(clock)), calm: true,
		facts: map[string]time.Time{}, deaths: map[string]int{}, left: map[string]bool{}, ends: [2]float64{math.Inf(1), math.Inf(1)},
	}
	w.name()
	return w
}

// name writes the generation of the store's data, where none stands.
func (w *ward) name() {
	if _, err := w.mem.Get(ctx, space.Generation()); err != nil {
		g := map[string]string{"generation": fmt.Sprint(w.losses)}
		_ = w.mem.SetEX(ctx, space.Generation(), must(envelope.SealJSON(ring, envelope.KindGeneration, g)), times.Entry)
	}
}

func (w *ward) now() time.Duration { return w.clock.Now().Sub(w.start) }

func (w *ward) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%10v  ", w.now())+fmt.Sprintf(format, args...))
}

func (w *ward) fail(format string, args ...any) {
	w.note("WRONG: "+format, args...)
	if w.wrong == "" {
		w.wrong = fmt.Sprintf("at %v: ", w.now()) + fmt.Sprintf(format, args...)
	}
}

func (w *ward) transcript() string {
	return fmt.Sprintf("%s\n%+v, jitter %v\n%s", w.wrong, w.policy, w.jitter, strings.Join(w.trace, "\n"))
}

// at does f at that age of the ward.
func (w *ward) at(age time.Duration, f func()) { w.clock.AfterFunc(age-w.now(), f) }

// until lets the ward live to that age.
func (w *ward) until(age time.Duration) { w.clock.Advance(age - w.now()) }

// patient is a coordinator: incarnations of one id.
type patient struct {
	w           *ward
	id          string
	incarnation int64
	seq         uint64
	skew        time.Duration // of its wall clock
	alive       bool
	cut         bool          // from the store
	zombie      bool          // does not look whether it is decided dead
	slow        time.Duration // from its registration to its first beat

	joined  time.Duration
	died    time.Duration
	beaten  time.Duration   // when the last beat was written, or it registered
	visible time.Duration   // the same, moved by outages of the store
	lost    bool            // its beat was, or may have been hidden, since
	shown   bool            // a beat of this incarnation was written
	history []time.Duration // when it beat, or registered
	old     [][]byte        // every beat that it ever wrote
	coarse  bool            // does not touch the late index
	losses  int             // of the store, after which it is registered
	first   int64           // incarnation that is registered since then
	stop    func() bool
}

func (w *ward) admit(id string) *patient {
	p := &patient{w: w, id: id}
	w.patients = append(w.patients, p)
	return p
}

// join begins the next incarnation; its first beat comes at once.
func (p *patient) join() {
	if p.w.down {
		p.w.clock.AfterFunc(time.Second, p.join)
		return
	}
	if p.stop != nil {
		p.stop()
	}
	p.incarnation++
	p.seq, p.alive, p.cut, p.shown = 0, true, false, false
	if p.enrol(); p.first == 0 {
		p.first = p.incarnation
	}
	p.w.note("%s/%d joins", p.id, p.incarnation)
	p.touch()
	p.joined = p.beaten
	p.stop = p.w.clock.AfterFunc(p.slow, p.beat)
	if p.slow == 0 {
		p.stop()
		p.beat()
	}
}

// isolate cuts p off from the store for a while.
func (p *patient) isolate(lasts time.Duration) {
	p.cut = true
	p.w.note("%s is cut off for %v", p.id, lasts)
	p.w.clock.AfterFunc(lasts, func() { p.cut = false })
}

// enrol registers p with a store that may have lost its data; before, the generation stands.
func (p *patient) enrol() {
	p.w.name()
	if p.losses != p.w.losses {
		p.losses, p.first = p.w.losses, p.incarnation
	}
	p.register()
}

func (p *patient) register() {
	entry := must(envelope.AppendMember(nil, ring, &envelope.Member{ID: p.id, Incarnation: p.incarnation, Session: "s"}))
	log := ticketlog.Log{Store: p.w.mem, Keys: space.Members(), Times: times, Now: p.w.clock.Now}
	must(log.Append(ctx, entry, ""))
}

func (p *patient) touch() {
	p.beaten, p.visible, p.lost = p.w.now(), p.w.now(), false
	p.history = append(p.history, p.beaten)
}

// unseen: the store failed at that age, and what was written less than a Check before may have fallen between two looks
// of everybody, and have expired or been lost since.
func (p *patient) unseen(failed time.Duration) {
	for _, at := range slices.Backward(p.history) {
		if at <= failed-p.w.policy.Check {
			p.visible -= p.beaten - at
			if at == p.joined { // nobody saw that it ever beat
				p.shown, p.beaten = false, at
			}
			return
		}
	}
}

func (p *patient) sealed(r *envelope.Ring) []byte {
	return must(envelope.AppendHeartbeat(nil, r, &envelope.Heartbeat{
		ID: p.id, Incarnation: p.incarnation, Session: "s", Seq: p.seq, Time: p.w.clock.Now().Add(p.skew), Status: "alive",
	}))
}

func (p *patient) beat() {
	if !p.alive {
		return
	}
	p.stop = p.w.clock.AfterFunc(p.w.policy.Beat+p.w.late(), p.beat)
	if p.w.down || p.cut {
		p.seq++
		return
	}
	if !p.zombie && p.w.over(p.id, p.incarnation) {
		p.alive = false
		p.w.note("%s/%d is fenced", p.id, p.incarnation)
		return
	}
	p.seq++
	p.shown = true
	p.old = append(p.old, p.sealed(ring))
	p.put(p.old[len(p.old)-1])
	if p.losses != p.w.losses {
		p.enrol()
	}
	p.touch()
	if p.seq%detect.Touching == 0 && !p.coarse {
		p.index()
	}
}

// index touches the late index.
func (p *patient) index() {
	_ = p.w.mem.Touch(ctx, space.Late(), time.Hour, keys.Indexed(p.id, p.incarnation))
}

func (p *patient) put(value []byte) {
	_ = p.w.mem.SetEX(ctx, space.Heartbeat(p.id), value, p.w.policy.TTL)
}

// overwrite is done by others: it may hide the last beat.
func (p *patient) overwrite(value []byte) {
	p.lost = true
	p.put(value)
}

func (p *patient) die() {
	if p.alive {
		p.alive, p.died = false, p.w.now()
		p.w.note("%s/%d dies", p.id, p.incarnation)
	}
}

func (p *patient) leave() {
	if !p.alive || p.w.down || p.cut {
		return
	}
	p.alive = false
	p.w.note("%s/%d leaves", p.id, p.incarnation)
	if d := p.w.decide(p.w.mem, p.id, p.incarnation, "left"); d {
		p.w.left[end(p.id, p.incarnation)] = true
	}
	_, _ = p.w.mem.Expire(ctx, space.Heartbeat(p.id), 0)
}

// fail cuts the store off from everybody until age; then the heartbeats may be lost.
func (w *ward) outage(lasts time.Duration, loss bool) {
	if w.down {
		return
	}
	w.down = true
	failed := w.now()
	w.note("the store fails")
	w.clock.AfterFunc(lasts, func() {
		w.down = false
		w.note("the store is back, heartbeats lost: %v", loss)
		for _, p := range w.patients {
			if lasts > 2*w.policy.Check { // a shorter one may fall between two looks
				p.visible += lasts
			}
			p.unseen(failed)
			if loss {
				p.lost = true
				_, _ = w.mem.Expire(ctx, space.Heartbeat(p.id), 0)
			}
		}
	})
}

// lose is an outage after which the store holds nothing. Whose host it is restarts with it, and counts from 1 again.
func (w *ward) lose(lasts time.Duration, restarts func() bool) {
	if w.down {
		return
	}
	w.down = true
	w.note("the store fails")
	w.clock.AfterFunc(lasts, func() {
		w.down = false
		w.losses++
		w.note("the store is back and holds nothing")
		for _, key := range must(w.mem.Keys(ctx, "")) {
			_, _ = w.mem.Expire(ctx, key, 0)
		}
		w.unindex()
		w.deaths, w.left, w.facts = map[string]int{}, map[string]bool{}, map[string]time.Time{}
		for _, p := range w.patients {
			if p.old, p.history = nil, nil; p.incarnation > 0 && restarts() {
				p.incarnation = 0
				p.join()
			}
		}
	})
}

// unindex loses the late index.
func (w *ward) unindex() {
	_ = w.mem.Drop(ctx, space.Late(), must(w.mem.Late(ctx, space.Late(), math.MaxInt64, 100))...)
}

func end(id string, incarnation int64) string { return fmt.Sprint(id, "/", incarnation) }

// plain is a codec without keys: the agreement is not what is on trial here.
type plain struct{}

func (plain) Seal(place string, value []byte) []byte { return []byte(place + "=" + string(value)) }

func (plain) Open(place string, data []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(data), place+"=")
	if !ok {
		return nil, errors.New("forged")
	}
	return []byte(value), nil
}

func names(id string, incarnation int64) agree.Names {
	d := space.Dead(id, incarnation)
	return agree.Names{Counter: d.Counter(), Decision: d.Decision(), Vote: d.Vote}
}

func (w *ward) decide(s store.Store, id string, incarnation int64, value string) (mine bool) {
	_, mine, err := agree.Attempt(ctx, s, names(id, incarnation), plain{}, agree.TTLs{}, []byte(value))
	return err == nil && mine
}

func (w *ward) over(id string, incarnation int64) bool {
	_, err := w.mem.Get(ctx, space.Dead(id, incarnation).Decision())
	return err == nil
}
