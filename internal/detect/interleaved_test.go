package detect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// quick is a policy of few checks, so that runs are short.
var quick = detect.Policy{
	Beat: time.Second, TTL: 3 * time.Second, Stale: 4 * time.Second,
	Warnings: 2, Spacing: 2 * time.Second, Window: 20 * time.Second, Check: time.Second,
}

// cast says who takes part in a run.
type cast struct {
	policy   detect.Policy
	beats    int // of the member after its first; then it stops
	monitors int
	rounds   int // checks of each monitor
	check    procedure
}

// play is one run: a member and its monitors, interleaved at every store operation.
type play struct {
	cast
	world *sim.World

	rise     time.Time // when the member's highest beat became visible
	seq      uint64
	obscured bool // a late write may have hidden a beat
	late     int  // late writes so far
	looked   time.Time
	stands   map[string]time.Time // since when each warning stands
	expired  map[string]time.Time // when one was last seen to stand that does not any more
	decision []byte
	mine     int
	wrong    error
	over     bool
}

func (p *play) fail(format string, args ...any) {
	if p.wrong == nil {
		p.wrong = fmt.Errorf(format, args...)
	}
}

// look is done around every operation: it sees what became visible, and when.
func (p *play) look() {
	now := p.world.Clock.Now()
	if late := p.world.Counts()["ghost applied"]; late != p.late {
		p.late, p.obscured = late, true
	} else {
		p.looked = now
	}
	p.lookAtBeat(now)
	p.lookAtDecision()
	for seq := range p.seq + 1 {
		for k := 1; k <= p.policy.Warnings; k++ {
			p.lookAtWarning(space.Warning("p", 1, seq, k))
		}
	}
	p.looked = now
}

func (p *play) lookAtBeat(now time.Time) {
	raw, err := p.world.Mem.Get(ctx, space.Heartbeat("p"))
	if err != nil {
		return
	}
	beat, err := envelope.OpenHeartbeat(ring, "p", raw)
	if err == nil && beat.Seq > p.seq {
		p.seq, p.rise, p.obscured = beat.Seq, now, false
	}
}

// lookAtDecision: D4.
func (p *play) lookAtDecision() {
	raw, err := p.world.Mem.Get(ctx, space.Dead("p", 1).Decision())
	if err != nil {
		return
	}
	if p.decision != nil && !bytes.Equal(raw, p.decision) {
		p.fail("D4: decided %s, and then %s", p.decision, raw)
	}
	p.decision = raw
}

// lookAtWarning takes the earliest moment at which it may have come.
func (p *play) lookAtWarning(key string) {
	_, err := p.world.Mem.Get(ctx, key)
	if _, known := p.stands[key]; err != nil {
		if known {
			delete(p.stands, key)
			p.expired[key] = p.looked
		}
	} else if !known {
		p.stands[key] = p.looked
	}
}

// door leads an actor to the store, and lets the judge look.
type door struct {
	store.Store
	play    *play
	heard   time.Time            // when this monitor last asked for the heartbeat
	gap     time.Duration        // of the member at that moment
	obscure bool                 // a beat may have been hidden then
	written map[string]time.Time // when a warning's writing was last confirmed
}

func (d *door) Get(ctx context.Context, key string) ([]byte, error) {
	d.play.look()
	value, err := d.Store.Get(ctx, key)
	d.play.look()
	if key == space.Heartbeat("p") && (err == nil || errors.Is(err, store.ErrNotFound)) {
		now := d.play.world.Clock.Now()
		d.heard, d.gap, d.obscure = now, now.Sub(d.play.rise), d.play.obscured
	}
	return value, err
}

func (d *door) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	d.play.look()
	defer d.play.look() // also when the writer crashes after it
	warning := strings.HasPrefix(key, space.Prefix()+"warning:")
	if warning {
		d.judge(key)
	}
	err := d.Store.SetEX(ctx, key, value, ttl)
	if warning && err == nil {
		d.written[key] = d.play.world.Clock.Now()
	}
	return err
}

func (d *door) Incr(ctx context.Context, key string) (int64, error) {
	d.play.look()
	defer d.play.look()
	return d.Store.Incr(ctx, key)
}

func (d *door) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	d.play.look()
	defer d.play.look()
	return d.Store.Expire(ctx, key, ttl)
}

// judge: D2 and D3, when a warning is about to be written.
func (d *door) judge(key string) {
	p, now := d.play, d.play.world.Clock.Now()
	if !d.obscure && d.gap < p.policy.Stale {
		p.fail("D2: a warning after a visible gap of %v: %s", d.gap, key)
	}
	if now.Sub(d.heard) > 2*p.policy.Check {
		p.fail("D2: a warning by a monitor that asked %v ago: %s", now.Sub(d.heard), key)
	}
	at := strings.LastIndexByte(key, ':')
	k, _ := strconv.Atoi(key[at+1:])
	before := key[:at+1] + strconv.Itoa(k-1)
	since, stood := p.stands[before]
	justNow := !stood && !p.expired[before].Before(d.heard) // in this pass, after it was read
	if k > 1 && !justNow && (!stood || now.Sub(since) < p.policy.Spacing) {
		p.fail("D3: the warning before stands: %v, since %v: %s", stood, now.Sub(since), key)
	}
	last, again := d.written[key]
	if _, stands := p.stands[key]; again && stands && now.Sub(last) < p.policy.Window {
		p.fail("D3: written twice by one monitor: %s", key)
	}
}

// accuse: the death of one who lives is proposed only after all the silence.
func (d *door) accuse() {
	p := d.play
	least := p.policy.Stale + time.Duration(p.policy.Warnings-1)*p.policy.Spacing
	silent := d.gap + p.world.Clock.Now().Sub(d.heard) // others may have asked since
	if !d.obscure && p.decision == nil && silent < least {
		p.fail("D1: a death is proposed after a visible gap of %v", silent)
	}
}

func (p *play) watch(s store.Store, now func() time.Time, name string) *detect.Watch {
	d, _ := s.(*door)
	return &detect.Watch{
		Store: s, Space: space, Ring: ring, Policy: p.policy, Times: times, Name: name, Now: now,
		Decide: func(context.Context, string, int64, uint64, time.Duration) (bool, error) {
			if d != nil {
				d.accuse()
			}
			_, mine, err := agree.Attempt(ctx, s, names("p", 1), plain{}, agree.TTLs{}, []byte("silent, says "+name))
			return mine, err
		},
		Dead: func(context.Context, string, int64) (bool, string, error) {
			reason, err := agree.Decided(ctx, s, names("p", 1), plain{})
			if errors.Is(err, store.ErrNotFound) {
				return false, "", nil
			}
			return err == nil, string(reason), err
		},
	}
}

func (p *play) member() {
	p.world.Spawn("p", func(a *sim.Actor) {
		s := &door{Store: a.Store(), play: p}
		for seq := range p.beats {
			a.Sleep(p.policy.Beat)
			_ = s.SetEX(ctx, space.Heartbeat("p"), beatOf(uint64(seq+2)), p.policy.TTL)
		}
	})
}

func beatOf(seq uint64) []byte {
	return must(envelope.AppendHeartbeat(nil, ring, &envelope.Heartbeat{
		ID: "p", Incarnation: 1, Session: "s", Seq: seq, Status: "alive",
	}))
}

func (p *play) monitor(name string) {
	p.world.Spawn(name, func(a *sim.Actor) {
		defer func() {
			if a.Crashed() && !p.over {
				p.monitor(name + "'")
			}
		}()
		w := p.watch(&door{Store: a.Store(), play: p, written: map[string]time.Time{}}, a.Now, name)
		for range p.rounds {
			report, _ := p.check(w, ctx)
			p.report(a, report)
			a.Sleep(p.policy.Check)
		}
	})
}

func (p *play) report(a *sim.Actor, report detect.Report) {
	for _, f := range report.Findings {
		a.Note("%T%+v", f, f)
		p.world.Seen(fmt.Sprintf("%T", f))
		if dead, ok := f.(detect.Dead); ok && dead.Mine {
			if p.mine++; p.mine > 1 {
				p.fail("D4: said twice")
			}
		}
	}
}

func perform(c sim.Chooser, opts sim.Options, of cast) (*play, error) {
	p := &play{cast: of, world: sim.New(c, opts), rise: sim.Start, looked: sim.Start, stands: map[string]time.Time{}, expired: map[string]time.Time{}}
	log := ticketlog.Log{Store: p.world.Mem, Keys: space.Members(), Times: times, Now: p.world.Clock.Now}
	must(log.Append(ctx, must(envelope.AppendMember(nil, ring, &envelope.Member{ID: "p", Incarnation: 1, Session: "s"})), ""))
	_ = p.world.Mem.SetEX(ctx, space.Heartbeat("p"), beatOf(1), of.policy.TTL)
	p.look()
	p.member()
	for i := range of.monitors {
		p.monitor(fmt.Sprint("m", i+1))
	}
	if err := p.world.Run(); err != nil {
		return p, err
	}
	p.over = true
	p.look()
	p.finish()
	return p, p.wrong
}

// finish: D1, a new monitor with nothing in its way finds the death, or that it was found.
func (p *play) finish() {
	w := p.watch(p.world.Mem, p.world.Clock.Now, "last")
	_, high := detect.Bounds(p.policy)
	for range high/p.policy.Check + 1 {
		_, _ = p.check(w, ctx)
		p.world.Clock.Advance(p.policy.Check)
	}
	if _, err := p.world.Mem.Get(ctx, space.Dead("p", 1).Decision()); err != nil {
		p.fail("D1: nobody found the death")
	}
}

var hazards = sim.Options{
	Faults: 4, Crashes: 2, Preemptions: -1,
	Freezes: []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 12 * time.Second}, MaxFreezes: 4,
}

func company(c sim.Chooser, check procedure) cast {
	return cast{
		policy: quick, check: check,
		beats: c.Choose("beats", 6), monitors: 1 + c.Choose("monitors", 3), rounds: 6 + c.Choose("rounds", 10),
	}
}

// sparse chooses by seed, and plainly but for a few times, so that what goes wrong is spread over the whole run.
func sparse(seed uint64) sim.Chooser {
	r := rand.New(rand.NewPCG(seed, 2))
	return spread{r, []int{4, 16, 64, 256}[r.IntN(4)]}
}

type spread struct {
	r     *rand.Rand
	plain int
}

func (s spread) Choose(what string, n int) int {
	if (what == "outcome" || what == "next") && s.r.IntN(s.plain) > 0 {
		return 0
	}
	return s.r.IntN(n)
}

// D1 to D4 whoever goes first at every store operation, with faults, lost answers, late writes, crashes and stalls.
func TestInterleaved(t *testing.T) {
	seen := map[string]int{}
	try := func(c sim.Chooser) string {
		p, err := perform(c, hazards, company(c, (*detect.Watch).Check))
		for what, n := range p.world.Counts() {
			seen[what] += n
		}
		if err != nil {
			return fmt.Sprintf("%v\n%s", err, p.world.Transcript())
		}
		return ""
	}
	rapid.Check(t, func(t *rapid.T) {
		if wrong := try(sim.Drawn(t)); wrong != "" {
			t.Fatal(wrong)
		}
	})
	for seed := range uint64(runs(5000)) {
		if wrong := try(sparse(seed)); wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
	}
	t.Log(seen)
}
