package work_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// mutant is a procedure with one step left out or out of place.
type mutant struct {
	name   string
	wrong  func(*procedures)
	scenes []plan // nil: all
}

func (m mutant) in() []plan {
	if m.scenes == nil {
		return scenes
	}
	return m.scenes
}

func hand(m work.Hand) func(*procedures) {
	return func(p *procedures) {
		p.handOver = func(d *work.Desk, o work.Owner, c work.Choose) error { return m.HandOver(ctx, d, o, c) }
	}
}

func start(m work.Start) func(*procedures) {
	return func(p *procedures) {
		p.begin = func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
			return m.Begin(ctx, d, me, u, f)
		}
	}
}

func checkpointing(f func(h *work.Held, ctx context.Context, data []byte) error) func(*procedures) {
	return func(p *procedures) {
		p.checkpoint = func(h *work.Held, data []byte) error { return f(h, ctx, data) }
	}
}

func finishing(f func(h *work.Held, ctx context.Context, data []byte) error) func(*procedures) {
	return func(p *procedures) {
		p.done = func(h *work.Held, data []byte) error { return f(h, ctx, data) }
	}
}

func claiming(f func(d *work.Desk, ctx context.Context, me work.Owner, u work.Unit, e int64) (bool, error)) func(*procedures) {
	return func(p *procedures) {
		p.claim = func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error) { return f(d, ctx, me, u, e) }
	}
}

func scanning(after func(*work.List)) func(*procedures) {
	scan := real().scan
	return func(p *procedures) {
		p.scan = func(l *work.List) ([]work.Intent, error) {
			defer after(l)
			return scan(l)
		}
	}
}

func ownersSee(broken func(store.Store) store.Store) func(*procedures) {
	return func(p *procedures) { p.owner = broken }
}

var mutants = []mutant{
	{"Claim: the intent after the decision", claiming((*work.Desk).IntentAfter), nil},
	{"Claim: the owner's own death is not looked for", claiming((*work.Desk).ClaimBlind), nil},
	{"Claim: an intent that is not confirmed counts as one", ownersSee(hopeful), nil},
	{"Claim: an epoch is skipped", claiming((*work.Desk).ClaimAnyway), nil},
	{"HandOver: the list is read before the death is decided", hand(work.Hand{ReadFirst: true}), nil},
	{"HandOver: an undecided f-1 is not closed", hand(work.Hand{KeepOpen: true}), nil},
	{"HandOver: the decision is not read again", hand(work.Hand{NotAgain: true}), nil},
	{"HandOver: the owned epoch is not closed", hand(work.Hand{OnlyBefore: true}), nil},
	{"HandOver: handled before the end", hand(work.Hand{HandledFirst: true}), nil},
	{"HandOver: handled though something has no heir", hand(work.Hand{HandledEver: true}), nil},
	{"HandOver: an epoch is skipped", hand(work.Hand{Skip: true}), nil},
	{"Close: the heir's intent after the decision", hand(work.Hand{DecideFirst: true}), nil},
	{"Close: no intent for the heir", hand(work.Hand{NoIntent: true}), nil},
	{"Close: the heir's death is not looked for", hand(work.Hand{AnyHeir: true}), nil},
	{"Close: no agreement", hand(work.Hand{NoAgreement: true}), nil},
	{"Leave: hands over before it ends", func(p *procedures) {
		p.leave = func(d *work.Desk, me work.Owner, c work.Choose) error { return d.ReadThenDie(ctx, me, c) }
	}, nil},
	{"TakeOver: a hole is passed for good", ownersSee(holeless), nil},
	{"TakeOver: what is undecided is not looked at again", scanning((*work.List).DropWaiting), nil},
	{"TakeOver: what runs is run again", scanning((*work.List).ForgetTaken), nil},
	{"TakeOver: whose epoch it is, is not asked", func(p *procedures) {
		p.scan = func(l *work.List) ([]work.Intent, error) { return l.ScanAll(ctx) }
		start(work.Start{AnyOwner: true})(p)
	}, nil},
	{"TakeOver: the base is read before the decision", earlyBase, nil},
	{"TakeOver: only the epoch before has a base", start(work.Start{OneBack: true}), nil},
	{"TakeOver: the base is not written", start(work.Start{NoBase: true}), nil},
	{"TakeOver: an empty base is not written", start(work.Start{NoEmpty: true}), nil},
	{"TakeOver: the end of the epoch is not looked for", start(work.Start{Unchecked: true}), nil},
	{"Refresh: deletes what waits for a decision", func(p *procedures) {
		p.refresh = func(l *work.List) error { return l.DeleteWaiting(ctx) }
	}, nil},
	{"Checkpoint: looks before it writes", checkpointing((*work.Held).LookFirst), nil},
	{"Checkpoint: never looks", checkpointing((*work.Held).NeverLook), nil},
	{"Checkpoint: deletes the last before this one is acknowledged", checkpointing((*work.Held).SweepEarly), nil},
	{"Checkpoint: one slot for all versions", checkpointing((*work.Held).OneSlot), []plan{lasting}},
	{"Checkpoint: the counter is not raised", ownersSee(uncounted), nil},
	{"Done: by SetEX alone", finishing((*work.Held).DoneAlone), nil},
	{"Done: by a look and SetEX", finishing((*work.Held).DoneLooking), []plan{hasty}},
}

// hopeful takes an entry whose outcome is unknown for written.
func hopeful(s store.Store) store.Store { return hopefulStore{s} }

type hopefulStore struct{ store.Store }

func (s hopefulStore) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := s.Store.SetEX(ctx, key, value, ttl)
	if strings.Contains(key, ":entry:") {
		return nil
	}
	return err
}

// holeless takes a hole in a list for an entry that is of no use.
func holeless(s store.Store) store.Store { return holelessStore{s} }

type holelessStore struct{ store.Store }

func (s holelessStore) Get(ctx context.Context, key string) ([]byte, error) {
	data, err := s.Store.Get(ctx, key)
	if err == store.ErrNotFound && strings.Contains(key, ":entry:") {
		return []byte("void"), nil
	}
	return data, err
}

// uncounted does not raise the counters of checkpoints.
func uncounted(s store.Store) store.Store { return uncountedStore{s} }

type uncountedStore struct{ store.Store }

func (s uncountedStore) Incr(ctx context.Context, key string) (int64, error) {
	if strings.Contains(key, ":progress:") {
		return 1 << 40, nil
	}
	return s.Store.Incr(ctx, key)
}

// earlyBase reads the base when the intent is read, not after the decision was.
func earlyBase(p *procedures) {
	type run struct {
		me   work.Owner
		unit string
		f    int64
	}
	bases := map[run][]byte{}
	scan := p.scan
	p.scan = func(l *work.List) ([]work.Intent, error) {
		me, d := l.Whose()
		some, _ := d.Intents(ctx, me)
		for _, i := range some {
			if r := (run{me, i.Unit.ID, i.Epoch}); bases[r] == nil {
				bases[r], _ = d.Base(ctx, r.unit, r.f-1)
			}
		}
		return scan(l)
	}
	p.begin = func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
		return work.Start{Early: bases[run{me, u.ID, f}]}.Begin(ctx, d, me, u, f)
	}
}

// within is the number of runs, in all, in which each mutant is found.
const within = 4000

// scenes are where mutants are looked for: the whole, and smaller ones with more of one thing.
var scenes = []plan{
	everything,
	{units: 1, owners: 3, rounds: 4, states: 2, monitors: 2, targets: 3, leaves: 2, reckless: true},
	{units: 1, rivals: true, owners: 3, rounds: 4, states: 2, monitors: 3, targets: 3, stalls: true},
	{units: 1, owners: 3, rounds: 5, states: 3, monitors: 2, targets: 2, stalls: true},
	lasting,
	hasty,
	{units: 3, owners: 3, rounds: 3, states: 1, monitors: 2, targets: 3},
}

var (
	lasting = plan{units: 1, owners: 2, rounds: 8, states: 6, monitors: 1, targets: 2, stalls: true}
	hasty   = plan{units: 3, owners: 2, rounds: 3, states: 0, monitors: 3, targets: 2, stalls: true}
)

// perils go with the scenes in turn.
var perils = []sim.Options{
	hazards,
	{Preemptions: -1, Faults: 1, Crashes: 2},
	{Preemptions: -1, Append: true},
	{Preemptions: -1, Faults: 12},
}

func hunt(procs func() procedures, scenes []plan, runs uint64) (uint64, *scene, error) {
	for seed := range runs {
		opts := perils[seed/uint64(len(scenes))%uint64(len(perils))]
		if s, err := play(byChance(seed), opts, scenes[seed%uint64(len(scenes))], procs()); err != nil {
			return seed + 1, s, err
		}
	}
	return runs, nil, nil
}

func TestMutants(t *testing.T) {
	if !thorough {
		t.Skip("without the race detector they are all found")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			runs, s, err := hunt(func() procedures {
				p := real()
				m.wrong(&p)
				return p
			}, m.in(), within)
			if err == nil {
				t.Fatalf("not found in %d runs", runs)
			}
			t.Logf("found in run %d: %v\n%s", runs, err, s.world.Transcript())
		})
	}
}

// What the mutants are made of is the true procedure when nothing is changed.
func TestTheUnchangedMutantIsTrue(t *testing.T) {
	_, s, err := hunt(func() procedures {
		p := real()
		hand(work.Hand{})(&p)
		start(work.Start{})(&p)
		return p
	}, scenes, uint64(scaled(500, 50_000)))
	if err != nil {
		t.Fatalf("%v\n%s", err, s.world.Transcript())
	}
}
