package work

import (
	"context"

	"github.com/blocking-coordination/coord/store"
)

// Tidy: who has left in good order needs no place in the registry, where ticket is his, and his end need not be remembered
// for longer than anybody may be frozen who was about to make him an heir. But where the incarnation before did not leave,
// nothing is taken away: the registry would name one that died as the last of that id, and its silence be taken for his.
func (d *Desk) Tidy(ctx context.Context, me Owner, ticket int64) error {
	if before, ended, err := d.Dead(ctx, Owner{me.ID, me.Incarnation - 1}); err != nil || ended && before.Reason != Left {
		return err
	}
	dead := d.Space.Dead(me.ID, me.Incarnation)
	return store.FirstError(store.Batch(ctx, d.Store, []store.Op{
		store.ExpireOp(d.Space.Members().Entry(ticket), 0),
		store.ExpireOp(dead.Decision(), d.Times.Freeze),
		store.ExpireOp(dead.Vote(1), 0), // the decision is visible: nobody needs these two again
		store.ExpireOp(dead.Counter(), 0),
		store.ExpireOp(d.Space.Handled(me.ID, me.Incarnation), d.Times.Freeze),
	}))
}
