package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blocking-coordination/coord/internal/work"
)

// AssignWork puts a unit into the hands of the coordinator with that id, which takes work over (OnTakeOver): its
// incarnation that beats now becomes the first owner. nil means that it owns the unit, and if it dies, whoever inherits
// from it. ErrNoHeir if it does not live or takes no work over, ErrTaken if the unit has another owner or is done, or if
// the id is that of another unit: one with another payload or Progress. After ErrUnavailable or the end of ctx the outcome
// is unknown: call it again.
func (c *Client) AssignWork(ctx context.Context, w Work, to string) error {
	ctx, done := during(ctx, c.life)
	defer done()
	err := errors.Join(w.check(), checkID("to", to))
	if err == nil {
		err = c.assign(ctx, w, to)
	}
	if err != nil {
		return fmt.Errorf("assign unit %s to %s: %w", w.ID, to, err)
	}
	return nil
}

func (c *Client) assign(ctx context.Context, w Work, to string) error {
	heir, err := c.heirNamed(ctx, to)
	if err != nil {
		return err
	}
	unit, err := c.desk.PutUnit(ctx, w.ID, w.Payload, w.Progress)
	if err != nil {
		return err
	}
	decided, mine, err := c.desk.Close(ctx, unit, 0, func(_ work.Unit, _ int64, not []work.Owner) (work.Owner, bool) {
		return heir.owner, !slices.Contains(not, heir.owner)
	})
	switch {
	case err != nil:
	case !decided.Gives(heir.owner):
		err = taken(decided)
	case decided.Digest != unit.Digest:
		err = errAnotherPayload
	}
	if mine {
		c.moved([]work.Move{{Unit: unit, Epoch: 1, To: heir.owner}})
	}
	return err
}

// heirNamed is the incarnation of id that beats and takes work over.
func (c *Client) heirNamed(ctx context.Context, id string) (Heir, error) {
	living, err := c.living(ctx)
	if err != nil {
		return Heir{}, err
	}
	i := slices.IndexFunc(living, func(l Heir) bool { return l.ID == id })
	if i < 0 {
		return Heir{}, fmt.Errorf("%w: it does not beat, or takes no work over", ErrNoHeir)
	}
	return living[i], nil
}
