package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

// Decision is how an epoch of a unit ended: exactly one of To and Done is set.
type Decision struct {
	V      int     `json:"v"`
	To     *Owner  `json:"to,omitempty"`   // who owns the next epoch
	Done   *Result `json:"done,omitempty"` // what came of the unit
	Digest string  `json:"digest"`         // of the unit's payload, the same in all its epochs
	By     string  `json:"by"`             // who proposed it: Desk.By
}

// Result is what a unit's last owner made of it.
type Result struct {
	Owner Owner `json:"owner"`
	Value Data  `json:"value"`
}

// Gives reports whether the decision makes o the owner of the next epoch.
func (d Decision) Gives(o Owner) bool { return d.To != nil && *d.To == o }

// Reason says why an incarnation ended.
type Reason string

// The reasons.
const (
	Silent     Reason = "silent"     // it earned all warnings
	Left       Reason = "left"       // on purpose
	Superseded Reason = "superseded" // a later incarnation joined
)

// Death is the decision that ends an incarnation.
type Death struct {
	V      int    `json:"v"`
	Reason Reason `json:"reason"`
	By     string `json:"by"` // who proposed it; different for each process, so that one knows it as its own
}

// Decide proposes value, a JSON object, until there is a decision. It returns the decision, and whether that is value,
// byte for byte. Errors: those of agree.Attempt but ErrAgain; after any of them value may yet be decided.
func (d *Desk) Decide(ctx context.Context, n keys.Decide, ttl agree.TTLs, value []byte) (decided []byte, mine bool, err error) {
	err = d.until(ctx, func() (err error) {
		decided, mine, err = agree.Attempt(ctx, d.Store, agreement(n), codec{d.Ring, n.Decision()}, ttl, value)
		return err
	})
	return decided, mine, err
}

// Decided returns the decision where there is one.
func (d *Desk) Decided(ctx context.Context, n keys.Decide) (decided []byte, found bool, err error) {
	err = d.until(ctx, func() (err error) {
		decided, err = agree.Decided(ctx, d.Store, agreement(n), codec{d.Ring, n.Decision()})
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return decided, err == nil, err
}

// Ended returns how epoch e of unit ended, where it did.
func (d *Desk) Ended(ctx context.Context, unit string, e int64) (dec Decision, found bool, err error) {
	raw, found, err := d.Decided(ctx, d.Space.Epoch(unit, e))
	if !found || err != nil {
		return Decision{}, false, err
	}
	dec, err = decode[Decision](raw)
	return dec, err == nil, err
}

// end proposes how epoch e of unit ends.
func (d *Desk) end(ctx context.Context, unit string, e int64, proposed Decision) (dec Decision, mine bool, err error) {
	proposed.V = 1
	raw, mine, err := d.Decide(ctx, d.Space.Epoch(unit, e), d.Times.Epoch, marshal(proposed))
	if err != nil {
		return Decision{}, false, err
	}
	dec, err = decode[Decision](raw)
	return dec, mine, err
}

// DecideDead proposes that o is dead. It returns the decision, which is visible to all by then, and whether it is this
// one, by death.By. A By that is empty is Desk.By.
func (d *Desk) DecideDead(ctx context.Context, o Owner, death Death) (decided Death, mine bool, err error) {
	if err := o.check(); err != nil {
		return Death{}, false, err
	}
	death.V = 1
	if death.By == "" {
		death.By = d.By
	}
	if err := d.keepNumber(ctx, o); err != nil {
		return Death{}, false, err
	}
	raw, mine, err := d.Decide(ctx, d.Space.Dead(o.ID, o.Incarnation), d.Times.Death, marshal(death))
	if err != nil {
		return Death{}, false, err
	}
	decided, err = decode[Death](raw)
	return decided, mine, err
}

// keepNumber: D5, the counter of incarnations outlives the decision on one of them, or its number would be given to
// somebody who is dead when he joins. o may have refreshed it for the last time a month ago.
func (d *Desk) keepNumber(ctx context.Context, o Owner) error {
	return d.refresh(ctx, []store.Op{store.ExpireOp(d.Space.Incarnation(o.ID), d.Times.Death.Decision+d.Times.Freeze)})
}

// Dead returns the decision that o is dead, where there is one.
func (d *Desk) Dead(ctx context.Context, o Owner) (death Death, dead bool, err error) {
	raw, dead, err := d.Decided(ctx, d.Space.Dead(o.ID, o.Incarnation))
	if !dead || err != nil {
		return Death{}, false, err
	}
	death, err = decode[Death](raw)
	return death, err == nil, err
}

// alive is ErrFenced where o is decided dead.
func (d *Desk) alive(ctx context.Context, o Owner) error {
	_, dead, err := d.Dead(ctx, o)
	if err == nil && dead {
		err = ErrFenced
	}
	return err
}

// mostSuperseded is how many earlier incarnations a join sees to itself. Monitors see to the others.
const mostSuperseded = 64

// Supersede decides the earlier incarnations of o.ID dead, down to the first that is decided already, so that o does not
// hide what they owned. It begins with the lowest: where it stops half-way, the next one finds the rest.
func (d *Desk) Supersede(ctx context.Context, o Owner) error {
	low, err := d.lowestUndecided(ctx, o)
	for j := low; err == nil && j < o.Incarnation; j++ {
		_, _, err = d.DecideDead(ctx, Owner{o.ID, j}, Death{Reason: Superseded, By: o.String()})
	}
	return err
}

func (d *Desk) lowestUndecided(ctx context.Context, o Owner) (int64, error) {
	j := o.Incarnation
	for ; j > max(1, o.Incarnation-mostSuperseded); j-- {
		if _, dead, err := d.Dead(ctx, Owner{o.ID, j - 1}); dead || err != nil {
			return j, err
		}
	}
	return j, nil
}

// decode reads a value that was verified.
func decode[T any](raw []byte) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return v, nil
}
