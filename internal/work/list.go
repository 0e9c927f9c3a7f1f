package work

import (
	"context"
	"errors"
	"slices"

	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// List scans the intents of one owner for its whole life: that is how it learns what it inherits. It has one user at a
// time.
type List struct {
	desk   *Desk
	me     Owner
	reader ticketlog.Reader
	items  []item
	aside  []Malformed  // for the next Scan to report
	taken  map[run]bool // what this process runs or ran
}

// run is an epoch of a unit, whatever its payload: an epoch has one owner.
type run struct {
	unit  string
	epoch int64
}

func (i Intent) run() run { return run{i.Unit.ID, i.Epoch} }

// item is an intent that is not known to be over.
type item struct {
	written
	waits    bool // the epoch before is undecided, as far as we know
	reported bool
}

// List returns a scanner of me's intents, from the first.
func (d *Desk) List(me Owner) *List {
	return &List{desk: d, me: me, reader: ticketlog.Reader{Log: d.intents(me)}, taken: map[run]bool{}}
}

// TailKey is the key of the list's counter, for a caller that reads many of them in one trip, and Idle whether there is
// nothing to scan where it stands at tail.
func (l *List) TailKey() string { return l.reader.TailKey() }

// Idle reports whether Scan has nothing to do where the counter stands at tail.
func (l *List) Idle(tail int64) bool {
	return l.reader.Idle(tail) && l.aside == nil && !slices.ContainsFunc(l.items, func(i item) bool { return i.waits })
}

// Scan returns the epochs that are mine to run, each once in this process. An intent whose epoch before is undecided is
// looked at again by the next Scan. An entry that was late is still found. What does not verify is set aside and reported
// once. What Scan returns beside an error is good; ticketlog.ErrRegressed means that the store lost writes.
func (l *List) Scan(ctx context.Context) (runnable []Intent, aside []Malformed, err error) {
	err = l.read(ctx)
	runnable, more, lookErr := l.look(ctx)
	if err == nil {
		err = lookErr
	}
	aside, l.aside = append(l.aside, more...), nil
	return runnable, aside, err
}

// read notes the intents that were appended since.
func (l *List) read(ctx context.Context) error {
	entries, err := l.reader.Read(ctx)
	if errors.Is(err, ticketlog.ErrRegressed) {
		l.items = nil // as the reader does, which returns again what still stands
	}
	for _, e := range entries {
		if m, ok := l.add(e); !ok {
			l.aside = append(l.aside, m)
		}
	}
	return err
}

// add notes an intent. false where it is malformed.
func (l *List) add(e ticketlog.Entry) (Malformed, bool) {
	intent, err := l.desk.openIntent(l.me, store.Result{Value: e.Value})
	if err != nil {
		return Malformed{Key: l.reader.Keys.Entry(e.Ticket), Unit: intent.Unit.ID, Err: err}, false
	}
	it := item{written: written{intent, e.Ticket}, waits: true}
	switch at := slices.IndexFunc(l.items, func(i item) bool { return i.ticket == e.Ticket }); {
	case at < 0:
		l.items = append(l.items, it)
	case l.items[at].run() != it.run(): // X3: the store lost writes, and gave the ticket out a second time
		l.items[at] = it
	}
	return Malformed{}, true
}

// Recheck looks for everything again, because the store may have lost writes: decisions, and intents whose tickets it has
// given out a second time. What was taken may be taken again, but for the epochs that runs names: those this process is
// about to begin, runs, or goes on with (X5).
func (l *List) Recheck(runs []Intent) {
	l.reader.Recheck()
	l.items, l.taken = nil, make(map[run]bool, len(runs))
	for _, i := range runs {
		l.taken[i.run()] = true
	}
}

// look takes what may run among the intents that wait.
func (l *List) look(ctx context.Context) (runnable []Intent, aside []Malformed, err error) {
	standings, err := l.desk.standings(ctx, l.written(func(i item) bool { return i.waits }))
	if err != nil {
		return nil, nil, err
	}
	for i := range l.items {
		it := &l.items[i]
		if !it.waits {
			continue
		}
		s := standings[0]
		standings = standings[1:]
		if s.err != nil && !it.reported {
			it.reported = true
			aside = append(aside, Malformed{Key: l.desk.epochKey(it.Intent), Unit: it.Unit.ID, Err: s.err})
		}
		if l.mayRun(it, s) {
			runnable = append(runnable, it.Intent)
		}
	}
	return runnable, aside, nil
}

// mayRun reports whether an intent is to be run now, once in this process. One whose epoch before is undecided waits on.
func (l *List) mayRun(it *item, s standing) bool {
	if s.err != nil || !s.over(l.me) && !s.runs(l.me) {
		return false
	}
	it.waits = false
	if s.over(l.me) {
		return false
	}
	it.Unit.Digest = s.before.Digest // what was decided
	return l.Take(it.Unit.ID, it.Epoch)
}

// Take reports whether epoch f of unit was not taken before, by Scan or by Take: true is the permission to Begin it. Who
// claimed an epoch himself takes it before the next Scan does.
func (l *List) Take(unit string, f int64) bool {
	r := run{unit, f}
	if l.taken[r] {
		return false
	}
	l.taken[r] = true
	return true
}

func (l *List) written(want func(item) bool) (some []written) {
	for _, i := range l.items {
		if want(i) {
			some = append(some, i.written)
		}
	}
	return some
}

// Refresh keeps alive what this owner owns or may come to own, and deletes the intents that are over. It reads the list
// first, for who only claims need not scan (X1, X3); where it cannot, it keeps alive what it knows all the same, and
// returns the error. Call it every Times.Refresh.
func (l *List) Refresh(ctx context.Context) error {
	unread := l.read(ctx)
	if err := l.refreshKnown(ctx); err != nil {
		return err
	}
	return unread
}

// refreshKnown goes in the order of section 7: decisions and payloads, then the counter, then the intents, so that what
// is referred to lives longer.
func (l *List) refreshKnown(ctx context.Context) error {
	all := l.written(func(item) bool { return true })
	standings, err := l.desk.standings(ctx, all)
	if err != nil {
		return err
	}
	var referred, entries, deleted []store.Op
	for i, w := range all {
		if s := standings[i]; s.err == nil && s.over(l.me) {
			deleted = append(deleted, store.ExpireOp(l.reader.Keys.Entry(w.ticket), 0))
			continue
		}
		referred = append(referred, l.desk.refreshUnit(w.Intent)...)
		entries = append(entries, store.ExpireOp(l.reader.Keys.Entry(w.ticket), l.desk.Times.Intents.Entry))
	}
	if err := l.keepBases(ctx, all, standings); err != nil {
		return err
	}
	counter := []store.Op{store.ExpireOp(l.reader.Keys.Tail, l.desk.Times.Intents.Tail)}
	for _, ops := range [][]store.Op{referred, counter, entries, deleted} {
		if err := l.desk.refresh(ctx, ops); err != nil {
			return err
		}
	}
	l.drop(standings)
	return nil
}

// keepBases keeps alive what I would begin with where I inherited an epoch and did not begin it. A Held does so for what
// was begun, which its first checkpoint shows.
func (l *List) keepBases(ctx context.Context, all []written, standings []standing) error {
	for i, w := range all {
		if w.Epoch == 1 || !standings[i].runs(l.me) {
			continue
		}
		n, err := l.desk.Progress(ctx, w.Unit.ID, w.Epoch)
		if err == nil && n == 0 {
			err = l.desk.keepBase(ctx, w.Unit.ID, w.Epoch-1)
		}
		if err != nil && !spoilt(err) {
			return err
		}
	}
	return nil
}

// drop forgets the intents that are over. Nobody can run their epochs any more, so they need not be remembered as taken
// either.
func (l *List) drop(standings []standing) {
	kept := l.items[:0]
	for i, it := range l.items {
		switch s := standings[i]; {
		case s.err != nil || !s.over(l.me):
			kept = append(kept, it)
		default:
			delete(l.taken, run{it.Unit.ID, it.Epoch})
		}
	}
	l.items = kept
}
