package coord

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/work"
)

// Work is a unit of work. Somebody owns it from the moment that it is accepted until it is done, whoever dies.
type Work struct {
	// ID matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}. It is not used again for another unit.
	ID string
	// Payload is what there is to do. It is copied.
	Payload []byte
	// Progress, if positive, is how long the owner may go without a Checkpoint or a Touch before the unit is given to
	// somebody else although its owner beats: after the last one, not before Progress and not later than Progress and
	// two Policy.Checks, as long as a monitor that saw it runs. Like silence it is measured on the monitor's own clock
	// and counts for nothing while the monitor cannot look. It counts in milliseconds.
	Progress time.Duration
}

// Task is one epoch of a unit of work, in the hands of this coordinator. Its methods may be called concurrently; they
// take turns.
type Task struct {
	coordinator *Coordinator
	held        *work.Held
	turn        chan struct{} // one at a time uses held, which outlives a suspension
	inherited   bool          // it came by OnTakeOver

	ctx context.Context
	end context.CancelCauseFunc
}

// ID is the unit's.
func (t *Task) ID() string { return t.held.Unit.ID }

// Payload is the unit's, as it was accepted. It must not be changed.
func (t *Task) Payload() []byte { return t.held.Payload }

// Epoch is the fencing token: it rises with every change of owner. Give it to whatever in the outside world can refuse
// a lower one.
func (t *Task) Epoch() int64 { return t.held.Epoch }

// LastCheckpoint is the newest one that was acknowledged, in this epoch or, at first, in an earlier owner's; empty where
// there is none.
func (t *Task) LastCheckpoint(ctx context.Context) ([]byte, error) {
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	defer t.leave()
	return append([]byte{}, t.held.Last()...), nil
}

// Context ends when this task must not act any more. Its cause is ErrFenced (another owns the unit), ErrSuspended (others
// may believe that we are dead: the same unit may be resumed when a heartbeat succeeds), ErrClosed, or ErrDone after
// Done.
func (t *Task) Context() context.Context { return t.ctx }

// Checkpoint makes data what an heir begins with. nil means that it will. ErrFenced, ErrSuspended, ErrDone and ErrClosed
// are final for this Task; after any other error the outcome is unknown.
func (t *Task) Checkpoint(ctx context.Context, data []byte) error {
	return t.use(ctx, "checkpoint", func(ctx context.Context) error { return t.held.Checkpoint(ctx, data) })
}

// Touch says that the unit makes progress. Call it a few times per Work.Progress.
func (t *Task) Touch(ctx context.Context) error {
	return t.use(ctx, "touch", t.held.Touch)
}

// Done ends the unit with result. nil means that this is its result, for ever. ErrFenced means that another owns it and
// the result is void. After ErrUnavailable or the end of ctx the outcome is unknown: call it again.
func (t *Task) Done(ctx context.Context, result []byte) error {
	err := t.use(ctx, "done", func(ctx context.Context) error { return t.held.Done(ctx, result) })
	if err == nil {
		t.finish(ErrDone)
		c := t.coordinator.client
		c.emit(WorkDone{Unit: t.ID(), Epoch: t.Epoch(), Owner: t.coordinator.id})
	}
	return err
}

// use gives held to f while this coordinator may act: not suspended (D6), not fenced.
func (t *Task) use(ctx context.Context, what string, f func(context.Context) error) error {
	err := t.enter(ctx)
	if err == nil {
		err = t.coordinator.Suspended()
		if err == nil {
			err = f(ctx)
		}
		t.leave()
	}
	switch {
	case errors.Is(err, ErrFenced):
		t.finish(ErrFenced)
	case errors.Is(err, ErrSuspended):
		err = t.whySuspended(ctx)
	case errors.Is(err, ErrDone):
		t.finish(ErrDone)
	}
	if err != nil {
		err = fmt.Errorf("unit %s, epoch %d: %s: %w", t.ID(), t.Epoch(), what, err)
	}
	return err
}

// whySuspended: others may have decided already what we were suspended for. Who cannot find out is suspended.
func (t *Task) whySuspended(ctx context.Context) error {
	t.end(ErrSuspended)
	a := t.coordinator
	if a.over.Load() {
		return context.Cause(a.life)
	}
	desk := a.client.briefDesk()
	ended, found, err := desk.Ended(ctx, t.ID(), t.Epoch())
	if err == nil && found && ended.Done != nil {
		return ErrDone
	}
	_, dead, e := desk.Dead(ctx, a.owner())
	if err == nil && found || e == nil && dead {
		return ErrFenced
	}
	return ErrSuspended
}

func (t *Task) enter(ctx context.Context) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
}

func (t *Task) leave() { <-t.turn }

// finish: the epoch is over for this process.
func (t *Task) finish(cause error) {
	t.end(cause)
	t.coordinator.work.forget(t)
}

// Accept makes this coordinator the first owner of a unit, and returns the task. ErrTaken if the unit has another owner
// or is done. After ErrUnavailable or the end of ctx the outcome is unknown: call it again; the unit is either accepted,
// and then handed over when this coordinator ends, or waits for whoever accepts it next. A task that ended because this
// coordinator was suspended is resumed by accepting the unit again.
func (a *Coordinator) Accept(ctx context.Context, w Work) (*Task, error) {
	if err := errors.Join(checkID("unit", w.ID), a.alive(), a.Suspended()); err != nil {
		return nil, err
	}
	t, err := a.accept(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("accept unit %s: %w", w.ID, err)
	}
	return t, nil
}

func (a *Coordinator) accept(ctx context.Context, w Work) (*Task, error) {
	unit, err := a.client.desk.PutUnit(ctx, w.ID, w.Payload, w.Progress)
	if err != nil {
		return nil, err
	}
	return a.claim(ctx, unit, 0)
}

// claim makes me the owner of epoch e+1 and begins it.
func (a *Coordinator) claim(ctx context.Context, unit work.Unit, e int64) (*Task, error) {
	if t := a.work.resume(unit.ID, e+1); t != nil {
		return t, nil
	}
	i, err := a.work.claim(ctx, unit, e)
	if err != nil {
		return nil, err
	}
	return a.work.begin(ctx, i, false)
}

func taken(d work.Decision) error {
	if d.To != nil {
		return fmt.Errorf("%w by %s", ErrTaken, d.To.ID)
	}
	return fmt.Errorf("%w: it is done", ErrTaken)
}

func (a *Coordinator) owner() work.Owner {
	return work.Owner{ID: a.id, Incarnation: a.me.Incarnation}
}

// AddWork puts a unit where whoever looks for work finds it: it waits at epoch 0 until somebody claims it. nil means
// that it does, or that it was claimed already. Adding the same unit again does no harm; ErrTaken if the id is that of
// another unit, which somebody owns or has done.
func (c *Client) AddWork(ctx context.Context, w Work) error {
	if err := checkID("unit", w.ID); err != nil {
		return err
	}
	if err := c.addWork(ctx, w); err != nil {
		return fmt.Errorf("add unit %s: %w", w.ID, err)
	}
	return nil
}

func (c *Client) addWork(ctx context.Context, w Work) error {
	unit, err := c.desk.PutUnit(ctx, w.ID, w.Payload, w.Progress)
	if err != nil {
		return err
	}
	first, found, err := c.desk.Ended(ctx, w.ID, 0)
	switch {
	case err != nil:
		return err
	case found && first.Digest != unit.Digest:
		return fmt.Errorf("%w, with another payload", ErrTaken)
	case found:
		return nil
	}
	return c.desk.AddOpen(ctx, unit)
}

// TaskHandler works on a unit that came to this coordinator. It calls t.Done, or returns with the unit still owned: then
// nobody works on it until its Progress is over, or this coordinator ends, and it is handed over. ctx is t.Context().
type TaskHandler func(ctx context.Context, t *Task) error

// OnTakeOver offers this coordinator as an heir: h is called, in a goroutine of its own, for every unit that is handed
// over to it, with its last checkpoint, and with Claiming for units that nobody has owned yet. A unit whose task ended
// because this coordinator was suspended comes again when it has resumed. Others learn of the heir by a heartbeat, which
// is tried once before OnTakeOver returns. ErrInvalidConfig if it has a handler already.
// Leave waits for the running handlers.
func (a *Coordinator) OnTakeOver(h TaskHandler, opts ...Option) error {
	opt := optionsOf(opts)
	if err := a.work.offer(h, opt.claiming); err != nil {
		return err
	}
	c := a.client
	c.poller.start()
	ctx, cancel := context.WithTimeout(c.life, c.Policy.Beat)
	defer cancel()
	c.beatAll(ctx, []*Coordinator{a})
	return nil
}

// Claiming has OnTakeOver also take units that were added without an owner, up to n at a time.
func Claiming(n int) Option { return func(o *options) { o.claiming = max(n, 0) } }
