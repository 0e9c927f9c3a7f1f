package work

import (
	"context"
	"errors"

	"github.com/blocking-coordination/coord/store"
)

// What the tests need of the inside, and the mutants: the procedures again, each with a step left out or out of place.

// Intents is what stands in o's list.
func (d *Desk) Intents(ctx context.Context, o Owner) (all []Intent, err error) {
	some, _, err := d.readIntents(ctx, o)
	for _, w := range some {
		all = append(all, w.Intent)
	}
	return all, err
}

// IntentAfter claims first and appends then.
func (d *Desk) IntentAfter(ctx context.Context, me Owner, u Unit, e int64) (bool, error) {
	decided, found, err := d.endable(ctx, u, e)
	if err == nil && !found {
		err = d.alive(ctx, me)
	}
	if err == nil && !found {
		decided, _, err = d.end(ctx, u.ID, e, Decision{To: &me, Digest: u.Digest, By: me.String()})
	}
	if err == nil && !found {
		err = d.intend(ctx, me, Intent{u, e + 1})
	}
	return decided.Gives(me), err
}

// ClaimBlind does not look whether the owner is dead.
func (d *Desk) ClaimBlind(ctx context.Context, me Owner, u Unit, e int64) (bool, error) {
	decided, found, err := d.endable(ctx, u, e)
	if err == nil && !found {
		err = d.intend(ctx, me, Intent{u, e + 1})
	}
	if err == nil && !found {
		decided, _, err = d.end(ctx, u.ID, e, Decision{To: &me, Digest: u.Digest, By: me.String()})
	}
	return decided.Gives(me), err
}

// ClaimAnyway does not look whether the epoch before has an owner, and takes the one after it.
func (d *Desk) ClaimAnyway(ctx context.Context, me Owner, u Unit, e int64) (bool, error) {
	if err := d.intend(ctx, me, Intent{u, e + 2}); err != nil {
		return false, err
	}
	if err := d.alive(ctx, me); err != nil {
		return false, err
	}
	decided, _, err := d.end(ctx, u.ID, e+1, Decision{To: &me, Digest: u.Digest, By: me.String()})
	return decided.Gives(me), err
}

// Hand is HandOver put together from what a mutant replaces.
type Hand struct {
	ReadFirst    bool // the list is read before the death is decided
	HandledFirst bool // handled is written first
	HandledEver  bool // handled is written though a unit has no heir
	Forget       bool // of what has no heir, the checkpoint is not kept alive
	KeepOpen     bool // an undecided f-1 is left alone
	NotAgain     bool // the decision is not read again after f-1 was closed
	OnlyBefore   bool // the epoch that was owned is left alone
	DecideFirst  bool // the heir's intent is appended after the decision
	AnyHeir      bool // nobody asks whether the heir is dead
	NoIntent     bool // nothing is appended to the heir's list
	NoAgreement  bool // the decision is written as it is
	Skip         bool // one epoch further on is closed
}

// HandOver is the procedure again. The zero Hand is the true one.
func (m Hand) HandOver(ctx context.Context, d *Desk, o Owner, c Choose) error {
	var intents []written
	var err error
	if m.ReadFirst {
		intents, _, err = d.readIntents(ctx, o)
	}
	if _, _, deadErr := d.DecideDead(ctx, o, Death{Reason: Silent}); err != nil || deadErr != nil {
		return errors.Join(err, deadErr)
	}
	if !m.ReadFirst {
		intents, _, err = d.readIntents(ctx, o)
	}
	if m.HandledFirst && err == nil {
		err = d.setHandled(ctx, o)
	}
	for _, w := range intents {
		oneErr := m.one(ctx, d, o, w, c)
		if errors.Is(oneErr, ErrNoHeir) {
			oneErr = errors.Join(oneErr, m.keep(ctx, d, o, w))
		}
		if oneErr != nil && !(m.HandledEver && errors.Is(oneErr, ErrNoHeir)) {
			err = errors.Join(err, oneErr)
		}
	}
	if err != nil {
		return err
	}
	return d.setHandled(ctx, o)
}

func (m Hand) keep(ctx context.Context, d *Desk, o Owner, w written) error {
	if !m.Forget {
		return d.keep(ctx, o, w)
	}
	return errors.Join(d.refresh(ctx, d.refreshUnit(w.Intent)), d.refresh(ctx, d.refreshEntry(o, w.ticket)))
}

func (m Hand) one(ctx context.Context, d *Desk, o Owner, w written, c Choose) error {
	all, err := d.standings(ctx, []written{w})
	if err != nil || all[0].over(o) {
		return err
	}
	before := all[0].before
	if before == nil && !m.KeepOpen {
		decided, err := m.close(ctx, d, o, w.Unit, w.Epoch-1, c)
		if err != nil {
			return err
		}
		before = &decided
		if m.NotAgain {
			return nil
		}
	}
	if before == nil || !before.Gives(o) || m.OnlyBefore {
		return nil
	}
	e := w.Epoch
	if m.Skip {
		e++
	}
	_, err = m.close(ctx, d, o, Unit{w.Unit.ID, before.Digest}, e, c)
	return err
}

func (m Hand) close(ctx context.Context, d *Desk, o Owner, u Unit, e int64, c Choose) (decided Decision, err error) {
	h, err := m.heir(ctx, d, o, u, e, c)
	if err != nil {
		return Decision{}, err
	}
	dec := Decision{V: 1, To: &h, Digest: u.Digest, By: d.By}
	if m.NoAgreement {
		key := d.Space.Epoch(u.ID, e).Decision()
		return dec, d.put(ctx, key, codec{d.Ring, key}.Seal(key, marshal(dec)), d.Times.Epoch.Decision)
	}
	decided, _, err = d.end(ctx, u.ID, e, dec)
	if m.DecideFirst && err == nil {
		err = d.intend(ctx, h, Intent{u, e + 1})
	}
	return decided, err
}

func (m Hand) heir(ctx context.Context, d *Desk, o Owner, u Unit, e int64, c Choose) (Owner, error) {
	if !m.DecideFirst && !m.AnyHeir && !m.NoIntent {
		return d.heir(ctx, u, e, c, []Owner{o})
	}
	not := []Owner{o}
	for {
		h, ok := c(u, e, not)
		if !ok {
			return h, ErrNoHeir
		}
		if m.AnyHeir {
			if err := d.intend(ctx, h, Intent{u, e + 1}); err != nil {
				return h, err
			}
			return h, nil
		}
		if err := d.alive(ctx, h); !errors.Is(err, ErrFenced) {
			return h, err
		}
		not = append(not, h)
	}
}

// ReadThenDie is Leave the other way round: it hands over, and only then ends itself.
func (d *Desk) ReadThenDie(ctx context.Context, me Owner, c Choose) error {
	return Hand{ReadFirst: true}.HandOver(ctx, d, me, c)
}

// DropWaiting forgets the intents that wait for a decision.
func (l *List) DropWaiting() {
	for i := range l.items {
		l.items[i].waits = false
	}
}

// RefreshScanned does not read the list first.
func (l *List) RefreshScanned(ctx context.Context) error { return l.refreshKnown(ctx) }

// ForgetTaken forgets what runs.
func (l *List) ForgetTaken() { l.taken = map[run]bool{} }

// ScanAll takes every intent for one to be run.
func (l *List) ScanAll(ctx context.Context) (all []Intent, err error) {
	entries, err := l.reader.Read(ctx)
	for _, e := range entries {
		if _, ok := l.add(e); ok {
			it := &l.items[len(l.items)-1]
			it.waits = false
			all = append(all, it.Intent)
		}
	}
	return all, err
}

// Start is Begin put together from what a mutant replaces.
type Start struct {
	AnyOwner  bool   // whose epoch it is, is not asked
	NoBase    bool   // the base is not written
	NoEmpty   bool   // an empty base is not written
	Unchecked bool   // nobody looks whether the epoch has ended
	OneBack   bool   // only the epoch before is looked at for a base
	Early     []byte // the base, read before the decision
}

// Begin is the procedure again. The zero Start is the true one.
func (m Start) Begin(ctx context.Context, d *Desk, me Owner, u Unit, f int64) (*Held, []byte, error) {
	if err := d.owns(ctx, me, u, f); err != nil && !m.AnyOwner {
		return nil, nil, err
	}
	h := &Held{Unit: u, Epoch: f, desk: d, me: me}
	base, err := d.Base(ctx, u.ID, f-1)
	if m.OneBack && f > 1 {
		base, _, err = d.newest(ctx, u.ID, f-1)
	}
	if m.Early != nil {
		base = m.Early
	}
	h.last = base
	if err == nil && !m.NoBase && !(m.NoEmpty && len(base) == 0) {
		h.tried++
		err = h.write(ctx, h.tried, base)
		h.acked = h.tried
	}
	if err == nil && !m.Unchecked {
		err = h.open(ctx)
	}
	return h, base, err
}

// LookFirst looks whether the epoch has ended before it writes.
func (h *Held) LookFirst(ctx context.Context, data []byte) error {
	if err := h.open(ctx); err != nil {
		return err
	}
	h.tried++
	if err := h.write(ctx, h.tried, data); err != nil {
		return err
	}
	h.acked, h.last = h.tried, data
	return nil
}

// NeverLook does not look at all.
func (h *Held) NeverLook(ctx context.Context, data []byte) error {
	h.tried++
	err := h.write(ctx, h.tried, data)
	h.acked = h.tried
	return err
}

// SweepEarly deletes what came before in the trip that writes.
func (h *Held) SweepEarly(ctx context.Context, data []byte) error {
	h.acked = h.tried + 1
	return h.Checkpoint(ctx, data)
}

// OneSlot writes every checkpoint under the same version.
func (h *Held) OneSlot(ctx context.Context, data []byte) error {
	h.tried, h.acked = 0, 0
	return h.Checkpoint(ctx, data)
}

// DoneAlone writes the result without asking anybody.
func (h *Held) DoneAlone(ctx context.Context, result []byte) error {
	d, key := h.desk, h.desk.Space.Epoch(h.Unit.ID, h.Epoch).Decision()
	done := Decision{V: 1, Done: &Result{Owner: h.me, Value: result}, Digest: h.Unit.Digest, By: h.me.String()}
	return d.put(ctx, key, codec{d.Ring, key}.Seal(key, marshal(done)), d.Times.Epoch.Decision)
}

// DoneLooking looks whether the epoch has ended, and then writes the result.
func (h *Held) DoneLooking(ctx context.Context, result []byte) error {
	if err := h.open(ctx); err != nil {
		return err
	}
	return h.DoneAlone(ctx, result)
}

// Whose list it is.
func (l *List) Whose() (Owner, *Desk) { return l.me, l.desk }

// DeleteWaiting deletes the intents that wait for a decision, too.
func (l *List) DeleteWaiting(ctx context.Context) error {
	for _, i := range l.items {
		if i.waits {
			if _, err := l.desk.batch(ctx, []store.Op{store.ExpireOp(l.reader.Keys.Entry(i.ticket), 0)}); err != nil {
				return err
			}
		}
	}
	return l.Refresh(ctx)
}
