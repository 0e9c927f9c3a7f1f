package work

import (
	"context"
	"fmt"
)

// Claim makes me the owner of epoch e+1 of u, if nobody else came first. A new unit is claimed at e = 0, after PutUnit;
// who was started to inherit one claims the epoch that it was given, with its own incarnation. It returns how epoch e
// ended and whether that makes me the owner; the digest that counts is the decision's.
//
// Errors: ErrFenced where I am decided dead, ErrNotOwned where epoch e has no owner that I could inherit from. After any
// error the outcome is unknown, but for these where e was not decided: somebody else may still make me the owner.
func (d *Desk) Claim(ctx context.Context, me Owner, u Unit, e int64) (mine bool, decided Decision, err error) {
	decided, found, err := d.endable(ctx, u, e)
	if found || err != nil {
		return decided.Gives(me), decided, err
	}
	if err := d.intend(ctx, me, Intent{u, e + 1}); err != nil {
		return false, Decision{}, err
	}
	if err := d.alive(ctx, me); err != nil { // I1: who finds me dead from here on reads the intent
		return false, Decision{}, err
	}
	decided, _, err = d.end(ctx, u.ID, e, Decision{To: &me, Digest: u.Digest, By: me.String()})
	return decided.Gives(me), decided, err // X1
}

// endable returns how epoch e of u ended, or nil if it can end now: I3, the epoch before was given to somebody.
func (d *Desk) endable(ctx context.Context, u Unit, e int64) (decided Decision, found bool, err error) {
	if err := u.check(); err != nil {
		return Decision{}, false, err
	}
	decided, found, err = d.Ended(ctx, u.ID, e)
	if found || err != nil || e == 0 {
		return decided, found, err
	}
	before, owned, err := d.Ended(ctx, u.ID, e-1)
	if err == nil && (!owned || before.To == nil) {
		err = fmt.Errorf("%w: epoch %d of unit %s", ErrNotOwned, e, u.ID)
	}
	return Decision{}, false, err
}
