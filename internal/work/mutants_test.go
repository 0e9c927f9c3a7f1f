package work_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/internal/work/worktest"
	"github.com/blocking-coordination/coord/store"
)

// mutant is a procedure with one step left out or out of place.
type mutant struct {
	name   string
	breaks string // the invariants that may tell
	trial  string // where it is found
	wrong  func(*worktest.Procedures)
}

func hand(m work.Hand) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		p.HandOver = func(d *work.Desk, o work.Owner, c work.Choose) error { return m.HandOver(ctx, d, o, c) }
	}
}

func start(m work.Start) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		p.Begin = func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
			return m.Begin(ctx, d, me, u, f)
		}
	}
}

func checkpointing(f func(h *work.Held, ctx context.Context, data []byte) error) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		p.Checkpoint = func(h *work.Held, data []byte) error { return f(h, ctx, data) }
	}
}

func finishing(f func(h *work.Held, ctx context.Context, data []byte) error) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		p.Done = func(h *work.Held, data []byte) error { return f(h, ctx, data) }
	}
}

func claiming(f func(d *work.Desk, ctx context.Context, me work.Owner, u work.Unit, e int64) (bool, error)) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		p.Claim = func(d *work.Desk, me work.Owner, u work.Unit, e int64) (bool, error) { return f(d, ctx, me, u, e) }
	}
}

func scanning(after func(*work.List)) func(*worktest.Procedures) {
	scan := worktest.Real().Scan
	return func(p *worktest.Procedures) {
		p.Scan = func(l *work.List) ([]work.Intent, error) {
			defer after(l)
			return scan(l)
		}
	}
}

func all(wrong ...func(*worktest.Procedures)) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) {
		for _, w := range wrong {
			w(p)
		}
	}
}

func ownersSee(broken func(store.Store) store.Store) func(*worktest.Procedures) {
	return func(p *worktest.Procedures) { p.Owner = broken }
}

// The trials in which they are found.
const (
	x1         = "X1/one owner per epoch"
	x2         = "X2/one result per unit"
	x3         = "X3/what is accepted is done or found"
	x4         = "X4/a lower epoch commits nothing"
	x5         = "X5/epochs rise"
	lasting    = "X4/many checkpoints"
	weeks      = "X3/weeks pass"
	accepting  = "X3/weeks pass for one who only accepts"
	everything = "X1 to X5/everything at once"
)

var mutants = []mutant{
	{"R9: get, spawn, delete", "X1 X2 X4 I2", x1, all(
		hand(work.Hand{NoAgreement: true}), finishing((*work.Held).DoneAlone), checkpointing((*work.Held).NeverLook),
		func(p *worktest.Procedures) { p.Refresh = func(l *work.List) error { return l.DeleteWaiting(ctx) } },
	)},
	{"Claim: the intent after the decision", "I1", x1, claiming((*work.Desk).IntentAfter)},
	{"Claim: the owner's own death is not looked for", "I1", x1, claiming((*work.Desk).ClaimBlind)},
	{"Claim: an intent that is not confirmed counts as one", "I1", everything, ownersSee(hopeful)},
	{"Claim: an epoch is skipped", "I3", x5, claiming((*work.Desk).ClaimAnyway)},
	{"HandOver: the list is read before the death is decided", "I2", x3, hand(work.Hand{ReadFirst: true})},
	{"HandOver: an undecided f-1 is not closed", "I2", x3, hand(work.Hand{KeepOpen: true})},
	{"HandOver: the decision is not read again", "I2", x3, hand(work.Hand{NotAgain: true})},
	{"HandOver: the owned epoch is not closed", "I2", x3, hand(work.Hand{OnlyBefore: true})},
	{"HandOver: handled before the end", "I2", x3, hand(work.Hand{HandledFirst: true})},
	{"HandOver: handled though something has no heir", "I2", x3, hand(work.Hand{HandledEver: true})},
	{"HandOver: the checkpoint of what has no heir is not kept alive", "I4 X4", weeks, hand(work.Hand{Forget: true})},
	{"HandOver: an epoch is skipped", "I3", x5, hand(work.Hand{Skip: true})},
	{"Close: the heir's intent after the decision", "I1", x1, hand(work.Hand{DecideFirst: true})},
	{"Close: no intent for the heir", "I1", x1, hand(work.Hand{NoIntent: true})},
	{"Close: the heir's death is not looked for", "I1", x1, hand(work.Hand{AnyHeir: true})},
	{"Close: no agreement", "X1", x1, hand(work.Hand{NoAgreement: true})},
	{"Leave: hands over before it ends", "I2", x3, func(p *worktest.Procedures) {
		p.Leave = func(d *work.Desk, me work.Owner, c work.Choose) error { return d.ReadThenDie(ctx, me, c) }
	}},
	{"TakeOver: a hole is passed for good", "X3", x4, ownersSee(holeless)},
	{"TakeOver: what is undecided is not looked at again", "X3", x2, scanning((*work.List).DropWaiting)},
	{"TakeOver: what runs is run again", "X5", x1, scanning((*work.List).ForgetTaken)},
	{"TakeOver: whose epoch it is, is not asked", "X1 X5 checkpoint", x1, func(p *worktest.Procedures) {
		p.Scan = func(l *work.List) ([]work.Intent, error) { return l.ScanAll(ctx) }
		start(work.Start{AnyOwner: true})(p)
	}},
	{"TakeOver: the base is read before the decision", "I4", x4, earlyBase},
	{"TakeOver: only the epoch before has a base", "I4 X4", lasting, start(work.Start{OneBack: true})},
	{"TakeOver: the base is not written", "X4", x4, start(work.Start{NoBase: true})},
	{"TakeOver: an empty base is not written", "X4", everything, start(work.Start{NoEmpty: true})},
	{"TakeOver: the end of the epoch is not looked for", "X5", x5, start(work.Start{Unchecked: true})},
	{"Refresh: deletes what waits for a decision", "I2", x1, func(p *worktest.Procedures) {
		p.Refresh = func(l *work.List) error { return l.DeleteWaiting(ctx) }
	}},
	{"Refresh: nothing of an owner's list is kept alive", "I2 X1 X3", weeks, func(p *worktest.Procedures) {
		p.Refresh = func(*work.List) error { return nil }
	}},
	{"Refresh: only what was scanned is kept alive", "I2 X1 X3", accepting, func(p *worktest.Procedures) {
		p.Refresh = func(l *work.List) error { return l.RefreshScanned(ctx) }
	}},
	{"Refresh: checkpoints are not kept alive", "I4", weeks, ownersSee(mortal)},
	{"Checkpoint: looks before it writes", "X4", lasting, checkpointing((*work.Held).LookFirst)},
	{"Checkpoint: never looks", "X4", x4, checkpointing((*work.Held).NeverLook)},
	{"Checkpoint: deletes the last before this one is acknowledged", "I4", lasting, checkpointing((*work.Held).SweepEarly)},
	{"Checkpoint: one slot for all versions", "I4", everything, checkpointing((*work.Held).OneSlot)},
	{"Checkpoint: the counter is not raised", "I4", lasting, ownersSee(uncounted)},
	{"Done: by SetEX alone", "X1", x4, finishing((*work.Held).DoneAlone)},
	{"Done: by a look and SetEX", "X1", everything, finishing((*work.Held).DoneLooking)},
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

// mortal does not keep checkpoints alive.
func mortal(s store.Store) store.Store { return mortalStore{s} }

type mortalStore struct{ store.Store }

func (s mortalStore) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if ttl > 0 && strings.Contains(key, ":checkpoint:") {
		return true, nil
	}
	return s.Store.Expire(ctx, key, ttl)
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
func earlyBase(p *worktest.Procedures) {
	type run struct {
		me   work.Owner
		unit string
		f    int64
	}
	bases := map[run][]byte{}
	scan := p.Scan
	p.Scan = func(l *work.List) ([]work.Intent, error) {
		me, d := l.Whose()
		some, _ := d.Intents(ctx, me)
		for _, i := range some {
			if r := (run{me, i.Unit.ID, i.Epoch}); bases[r] == nil {
				bases[r], _ = d.Base(ctx, r.unit, r.f-1)
			}
		}
		return scan(l)
	}
	p.Begin = func(d *work.Desk, me work.Owner, u work.Unit, f int64) (*work.Held, []byte, error) {
		return work.Start{Early: bases[run{me, u.ID, f}]}.Begin(ctx, d, me, u, f)
	}
}

// within is the number of runs in which each mutant is found.
const within = 4000

func TestMutants(t *testing.T) {
	if proof.Slow > 1 {
		t.Skip("without the race detector they are all found")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			proof.Kill(t, within, m.breaks, m.in(t))
		})
	}
}

// in is the trial with the mutant in the place of the true procedure.
func (m mutant) in(t *testing.T) proof.Trial {
	trials := worktest.With(func() worktest.Procedures {
		p := worktest.Real()
		m.wrong(&p)
		return p
	})
	i := slices.IndexFunc(trials, func(tr proof.Trial) bool { return tr.Name == m.trial })
	if i < 0 {
		t.Fatalf("there is no trial %q", m.trial)
	}
	return trials[i]
}

// What the mutants are made of is the true procedure when nothing is changed.
func TestTheUnchangedMutantIsTrue(t *testing.T) {
	proof.Hold(t, proof.Memory, proof.Plan{Seeds: 100, Few: true}, worktest.With(func() worktest.Procedures {
		p := worktest.Real()
		hand(work.Hand{})(&p)
		start(work.Start{})(&p)
		return p
	})...)
}
