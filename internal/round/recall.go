package round

import (
	"context"
	"errors"
	"slices"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// DiedBefore is why there is no answer of one that was found dead by an earlier round of that name, and may live by now.
const DiedBefore = "declared dead before, and replaced"

// mostLives is of how many incarnations it is looked up whether one has died.
const mostLives = 256

// recall: an earlier round of that name may have found m dead. G2: where the reply of who was asked in its place was
// agreed upon, or of who was asked in the place of that one, it stays replaced, though it came back. Else it is asked.
func (r *Round) recall(ctx context.Context, m *member) error {
	if r.OnDeath.Substitute == nil {
		return nil
	}
	line, err := r.line(ctx, m.ID)
	if err != nil || line == nil {
		return err
	}
	var died int64
	for _, id := range slices.Backward(line[:len(line)-1]) { // G3: each of them has; m is the last that is looked up
		if died, err = r.died(ctx, id); died == 0 || err != nil {
			return err
		}
	}
	m.State, m.Reason, m.Incarnation = Dead, DiedBefore, died
	r.stand(line[1], m)
	return nil
}

// line is id, its substitute, the substitute of that one, and so on to the first whose reply was agreed upon; empty where
// there is none.
func (r *Round) line(ctx context.Context, id string) ([]string, error) {
	for line := []string{id}; ; line = append(line, id) {
		if id = r.substitute(id); id == "" || keys.CheckID(id) != nil || slices.Contains(line, id) {
			return nil, nil
		}
		results := store.Batch(ctx, r.Desk.Store, []store.Op{
			store.GetOp(r.agreed(id).Decision()), store.GetOp(r.Desk.Space.Incarnation(id)),
		})
		replied, err := stands(results[0])
		if replied {
			return append(line, id), nil
		}
		joined, unknown := stands(results[1]) // who never joined has not died
		if err = errors.Join(err, unknown); err != nil || !joined {
			return nil, err
		}
	}
}

// died is the last incarnation of id that was decided dead by silence; 0 where there is none.
func (r *Round) died(ctx context.Context, id string) (int64, error) {
	results := store.Batch(ctx, r.Desk.Store, []store.Op{store.GetOp(r.Desk.Space.Incarnation(id))})
	last, err := number(results[0])
	for n := last; err == nil && n > max(0, last-mostLives); n-- {
		death, dead, bad := r.Desk.Dead(ctx, work.Owner{ID: id, Incarnation: n})
		if dead && death.Reason == work.Silent {
			return n, nil
		}
		err = bad
	}
	return 0, err
}
