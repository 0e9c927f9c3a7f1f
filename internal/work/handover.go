package work

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// Choose names an heir for the epoch after e of u: an owner that lives, and none of not, which were chosen before and are
// dead. false where there is nobody.
type Choose func(u Unit, e int64, not []Owner) (Owner, bool)

// Move is a unit that changed its owner.
type Move struct {
	Unit  Unit
	Epoch int64 // that To owns
	From  Owner // the dead
	To    Owner
}

type handledWire struct {
	V int `json:"v"`
	Owner
}

// Handled reports whether everything that o owned was handed over.
func (d *Desk) Handled(ctx context.Context, o Owner) (bool, error) {
	key := d.Space.Handled(o.ID, o.Incarnation)
	raw, found, err := d.get(ctx, key)
	if !found || err != nil {
		return false, err
	}
	w, err := open[handledWire](d, envelope.KindDecision, raw, key)
	return err == nil && w.Owner == o, nil // what is forged hides nobody
}

func (d *Desk) setHandled(ctx context.Context, o Owner) error {
	key := d.Space.Handled(o.ID, o.Incarnation)
	return d.put(ctx, key, d.seal(envelope.KindDecision, handledWire{1, o}, key), d.Times.Death.Decision)
}

// HandOver gives what o owned to heirs, and says at its end that o is handled. o must be decided dead, else ErrNotDead.
// Anybody may do it, at the same time as others, again and again until Handled. It returns what it moved itself, so that
// of several each unit is reported once, and what it set aside: that stops nothing else.
//
// Errors: ErrNoHeir and ErrSetAside, each after everything else was moved; those of the store and of ctx.
func (d *Desk) HandOver(ctx context.Context, o Owner, choose Choose) (moved []Move, aside []Malformed, err error) {
	if err := d.mustBeDead(ctx, o); err != nil {
		return nil, nil, err
	}
	intents, aside, err := d.readIntents(ctx, o) // I1: after the death was visible
	if err != nil {
		return nil, aside, err
	}
	if err := d.keepUnread(ctx, o, aside); err != nil {
		return nil, aside, err
	}
	moved, more, err := d.handOverAll(ctx, o, intents, choose)
	aside = append(aside, more...)
	if err == nil && slices.ContainsFunc(aside, Malformed.mends) {
		err = ErrSetAside
	}
	if err != nil {
		return moved, aside, err
	}
	return moved, aside, d.setHandled(ctx, o) // I2: last
}

func (d *Desk) mustBeDead(ctx context.Context, o Owner) error {
	err := d.alive(ctx, o)
	switch {
	case errors.Is(err, ErrFenced):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %v", ErrNotDead, o)
}

// handOverAll sees to every intent that is not over; without an heir for one it goes on with the others.
func (d *Desk) handOverAll(ctx context.Context, o Owner, intents []written, choose Choose) (moved []Move, aside []Malformed, err error) {
	standings, err := d.standings(ctx, intents)
	if err != nil {
		return nil, nil, err
	}
	var left error
	for i, w := range intents {
		if standings[i].over(o) {
			continue
		}
		some, err := d.handOverOne(ctx, o, w, choose)
		moved = append(moved, some...)
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrNoHeir):
			left = err
		case spoilt(err):
			aside = append(aside, Malformed{Key: d.epochKey(w.Intent), Unit: w.Unit.ID, Err: err})
		default:
			return moved, aside, err
		}
		if err := d.keep(ctx, o, standings[i].decided(w)); err != nil {
			left = errors.Join(err, left)
		}
	}
	return moved, aside, left
}

func (d *Desk) epochKey(i Intent) string { return d.Space.Epoch(i.Unit.ID, i.Epoch).Decision() }

// handOverOne closes what an intent of o, which is dead, left open. It looks again: it may be one of many, and others do
// the same.
func (d *Desk) handOverOne(ctx context.Context, o Owner, w written, choose Choose) (moved []Move, err error) {
	s, err := d.standings(ctx, []written{w})
	if err == nil {
		err = s[0].err
	}
	if err != nil || s[0].over(o) {
		return nil, err
	}
	if s[0].before != nil {
		return d.closeOwned(ctx, o, Unit{w.Unit.ID, s[0].before.Digest}, w.Epoch, choose)
	}
	decided, mine, err := d.close(ctx, w.Unit, w.Epoch-1, choose, o) // I2: or o may still become the owner
	if err != nil || !decided.Gives(o) {
		return moved1(w.Unit, w.Epoch, o, decided, mine), err
	}
	return d.closeOwned(ctx, o, Unit{w.Unit.ID, decided.Digest}, w.Epoch, choose) // agreed before us: o owns it after all
}

// closeOwned ends epoch e of u, which o owns. The digest is the one that was decided.
func (d *Desk) closeOwned(ctx context.Context, o Owner, u Unit, e int64, choose Choose) ([]Move, error) {
	decided, mine, err := d.close(ctx, u, e, choose, o)
	return moved1(u, e+1, o, decided, mine), err
}

// moved1 reports a decision of ours.
func moved1(u Unit, f int64, from Owner, decided Decision, mine bool) []Move {
	if !mine || decided.To == nil {
		return nil
	}
	return []Move{{Unit: u, Epoch: f, From: from, To: *decided.To}}
}

// Close ends epoch e of u by giving the unit to an heir, unless it has ended already. It returns how it ended, and
// whether that was by this call. Errors: ErrNoHeir, ErrNotOwned, those of the store and of ctx.
func (d *Desk) Close(ctx context.Context, u Unit, e int64, choose Choose) (decided Decision, mine bool, err error) {
	decided, found, err := d.endable(ctx, u, e)
	if found || err != nil {
		return decided, false, err
	}
	return d.close(ctx, u, e, choose)
}

// close is Close where it is known that the epoch can end (I3); not are no heirs.
func (d *Desk) close(ctx context.Context, u Unit, e int64, choose Choose, not ...Owner) (decided Decision, mine bool, err error) {
	heir, err := d.heir(ctx, u, e, choose, not)
	if err != nil {
		return Decision{}, false, err
	}
	return d.end(ctx, u.ID, e, Decision{To: &heir, Digest: u.Digest, By: d.By})
}

// heir chooses one in whose list the intent was confirmed before its death was visible (I1).
func (d *Desk) heir(ctx context.Context, u Unit, e int64, choose Choose, not []Owner) (Owner, error) {
	for {
		h, ok := choose(u, e, not)
		if !ok || slices.Contains(not, h) || h.check() != nil {
			return Owner{}, fmt.Errorf("%w for unit %s", ErrNoHeir, u.ID)
		}
		err := d.enlist(ctx, h, Intent{u, e + 1})
		if !errors.Is(err, ErrFenced) {
			return h, err
		}
		not = append(not, h)
	}
}

// enlist appends i to h's list; ErrFenced where h is dead. It looks before, too: the lists of the dead would grow with
// every attempt to find an heir among them, each by the length of the others.
func (d *Desk) enlist(ctx context.Context, h Owner, i Intent) error {
	if err := d.alive(ctx, h); err != nil {
		return err
	}
	if err := d.intend(ctx, h, i); err != nil {
		return err
	}
	return d.alive(ctx, h)
}

// keep refreshes what o left that cannot be handed over yet, so that it is still there when it can (X3).
func (d *Desk) keep(ctx context.Context, o Owner, w written) error {
	if err := d.refresh(ctx, append(d.refreshDeath(o), d.refreshUnit(w.Intent)...)); err != nil {
		return err
	}
	if err := d.keepBase(ctx, w.Unit.ID, w.Epoch); err != nil {
		return err
	}
	return d.refresh(ctx, d.refreshEntry(o, w.ticket))
}

// mostUnread bounds the epoch of what is kept alive without being verified: each epoch below may be looked at.
const mostUnread = 64

// keepUnread is keep for intents that a newer key ring may open one day. What they say is not verified, but to keep alive
// what is there changes nothing, whoever asks for it.
func (d *Desk) keepUnread(ctx context.Context, o Owner, aside []Malformed) error {
	for _, m := range aside {
		if !m.mends() || m.claims.check() != nil || m.claims.Epoch > mostUnread {
			continue
		}
		if err := d.keep(ctx, o, m.claims); err != nil {
			return err
		}
	}
	return nil
}

// refreshDeath refreshes what says that o is dead, and that its id was used so often: an incarnation of the same number
// would be born dead.
func (d *Desk) refreshDeath(o Owner) []store.Op {
	return []store.Op{
		store.ExpireOp(d.Space.Incarnation(o.ID), d.Times.Death.Decision+d.Times.Freeze),
		store.ExpireOp(d.Space.Dead(o.ID, o.Incarnation).Decision(), d.Times.Death.Decision),
	}
}

// refreshUnit refreshes what an intent refers to: the payload, and the decisions that nobody must take for open. The last
// of them stands only where somebody else ended the epoch just now, or so that it cannot be made out here.
func (d *Desk) refreshUnit(i Intent) []store.Op {
	return []store.Op{
		store.ExpireOp(d.Space.Unit(i.Unit.ID, i.Unit.Digest), d.Times.Unit),
		store.ExpireOp(d.Space.Epoch(i.Unit.ID, 0).Decision(), d.Times.Epoch.Decision),
		store.ExpireOp(d.Space.Epoch(i.Unit.ID, i.Epoch-1).Decision(), d.Times.Epoch.Decision),
		store.ExpireOp(d.Space.Epoch(i.Unit.ID, i.Epoch).Decision(), d.Times.Epoch.Decision),
	}
}

// refreshEntry refreshes an intent, after the counter that leads to it.
func (d *Desk) refreshEntry(o Owner, ticket int64) []store.Op {
	names := d.Space.Intents(o.ID, o.Incarnation)
	return []store.Op{
		store.ExpireOp(names.Tail, d.Times.Intents.Tail),
		store.ExpireOp(names.Entry(ticket), d.Times.Intents.Entry),
	}
}

// Leave ends me on purpose and hands over at once what I own. Where it stops half-way, any monitor goes on.
func (d *Desk) Leave(ctx context.Context, me Owner, choose Choose) (moved []Move, aside []Malformed, err error) {
	if _, _, err := d.DecideDead(ctx, me, Death{Reason: Left, By: me.String()}); err != nil {
		return nil, nil, err
	}
	return d.HandOver(ctx, me, choose)
}
