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
	// Payload is what there is to do, 1 MiB at most. It is copied.
	Payload []byte
	// Progress, if positive, is how long the owner may go without a Checkpoint or a Touch before the unit is given to
	// somebody else although its owner beats: after the last one, not before Progress and not later than Progress and
	// two Policy.Checks, as long as a monitor that saw it runs. Like silence it is measured on the monitor's own clock
	// and counts for nothing while the monitor cannot look. It counts in milliseconds.
	Progress time.Duration
}

// mostData bounds a unit's payload, checkpoint or result, in bytes: each travels in one write, and waits for weeks.
const mostData = 1 << 20

func (w Work) check() error {
	return errors.Join(checkID("unit", w.ID), checkData("payload", w.Payload))
}

func checkData(what string, data []byte) error {
	if len(data) > mostData {
		return fmt.Errorf("%w: a %s of %d bytes, and %d are allowed", ErrTooLarge, what, len(data), mostData)
	}
	return nil
}

// Task is one epoch of a unit of work, in the hands of this coordinator. Its methods may be called concurrently; they
// take turns.
type Task struct {
	coordinator *Coordinator
	held        *work.Held
	turn        chan struct{} // one at a time uses held, which outlives a suspension
	calls       chan struct{} // so does this: one call of the handler at a time
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

// Checkpoint makes data, 1 MiB at most, what an heir begins with. nil means that it will. ErrFenced, ErrSuspended, ErrDone
// and ErrClosed are final for this Task. After ErrTooLarge the checkpoint before stands; after any other error the outcome
// is unknown.
func (t *Task) Checkpoint(ctx context.Context, data []byte) error {
	refused := checkData("checkpoint", data)
	return t.use(ctx, "checkpoint", refused, func(ctx context.Context) error { return t.held.Checkpoint(ctx, data) })
}

// Touch says that the unit makes progress. Call it a few times per Work.Progress.
func (t *Task) Touch(ctx context.Context) error {
	return t.use(ctx, "touch", nil, t.held.Touch)
}

// Done ends the unit with result, 1 MiB at most. nil means that this is its result, for ever. ErrFenced means that another
// owns it and the result is void. After ErrTooLarge the unit is still to be done. After ErrUnavailable or the end of ctx
// the outcome is unknown: call it again.
func (t *Task) Done(ctx context.Context, result []byte) error {
	err := t.use(ctx, "done", checkData("result", result), func(ctx context.Context) error { return t.held.Done(ctx, result) })
	if err == nil {
		t.finish(ErrDone)
		c := t.coordinator.client
		c.emit(WorkDone{Unit: t.ID(), Epoch: t.Epoch(), Owner: t.coordinator.id})
	}
	return err
}

// use gives held to f, unless that was refused, while this coordinator may act: not suspended (D6), not fenced.
func (t *Task) use(ctx context.Context, what string, refused error, f func(context.Context) error) error {
	err := refused
	if err == nil {
		err = t.enter(ctx)
	}
	if err == nil {
		err = t.coordinator.Suspended()
		if err == nil {
			err = t.outlast(ctx, f)
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

// outlast calls f again where the store has given up, until ctx ends or t does: an outage that is over before we are
// suspended costs no work.
func (t *Task) outlast(ctx context.Context, f func(context.Context) error) error {
	ctx, done := during(ctx, t.ctx)
	defer done()
	for attempt := 1; ; attempt++ {
		err := f(ctx)
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		if e := t.coordinator.client.jitter(ctx, attempt); e != nil {
			return errors.Join(e, err)
		}
	}
}

// during is ctx, which also ends with life, and for the same reason.
func during(ctx, life context.Context) (both context.Context, done func()) {
	both, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { end(context.Cause(life)) })
	return both, func() {
		stop()
		end(nil)
	}
}

// whySuspended: others may have decided already what we were suspended for. Who cannot find out is suspended.
func (t *Task) whySuspended(ctx context.Context) error {
	a := t.coordinator
	a.work.rest(t)
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

// refresh is for a task that rests, too.
func (t *Task) refresh(ctx context.Context) error {
	if err := takeTurn(ctx, t.turn); err != nil {
		return err
	}
	defer t.leave()
	return t.held.Refresh(ctx)
}

func takeTurn(ctx context.Context, turn chan<- struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish: the epoch is over for this process.
func (t *Task) finish(cause error) {
	t.end(cause)
	t.coordinator.work.forget(t)
}

// Accept makes this coordinator the first owner of a unit, and returns the task. ErrTaken if the unit has another owner
// or is done, or if the id is that of another unit: one with another payload or Progress. After ErrUnavailable, a
// refusal of the store, or the end of ctx the outcome is unknown: call it again; the unit is either accepted, and then
// handed over when this coordinator ends, or waits for whoever accepts it next. A task that ended because this coordinator
// was suspended is resumed by accepting the unit again.
func (a *Coordinator) Accept(ctx context.Context, w Work) (*Task, error) {
	if err := errors.Join(w.check(), a.ready()); err != nil {
		return nil, err
	}
	ctx, done := during(ctx, a.life)
	defer done()
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
	if t, err := a.work.resume(unit, e+1); t != nil || err != nil {
		return t, err
	}
	i, err := a.work.claim(ctx, unit, e)
	if err != nil {
		return nil, err
	}
	return a.work.begin(ctx, i, false)
}

// errAnotherPayload: the unit that has this id is another one.
var errAnotherPayload = fmt.Errorf("%w, with another payload or Progress", ErrTaken)

func taken(d work.Decision) error {
	if d.To != nil {
		return fmt.Errorf("%w by %s", ErrTaken, d.To.ID)
	}
	return fmt.Errorf("%w: it is done", ErrTaken)
}

func (a *Coordinator) owner() work.Owner {
	return work.Owner{ID: a.id, Incarnation: a.me.Incarnation}
}

// AddWork puts a unit where whoever looks for work finds it: it waits at epoch 0 until somebody claims it, for thirty days
// where nobody is there who does (Claiming), and for as long as somebody is, however busy. nil means that it waits, or that
// it was claimed already. Adding the same unit again does no harm; ErrTaken if the id is that of another unit, which
// somebody owns or has done.
func (c *Client) AddWork(ctx context.Context, w Work) error {
	if err := w.check(); err != nil {
		return err
	}
	ctx, done := during(ctx, c.life)
	defer done()
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
		return errAnotherPayload
	case found:
		return nil
	}
	return c.desk.AddOpen(ctx, unit)
}

// TaskHandler works on a unit that came to this coordinator. It calls t.Done, or returns with the unit still owned: then
// nobody works on it until its Progress is over, or this coordinator ends, and it is handed over. A panic is an error, and
// so is runtime.Goexit: what one unit brings about ends no process, or it would end one heir after the other. ctx is
// t.Context().
type TaskHandler func(ctx context.Context, t *Task) error

func (t *Task) call(h TaskHandler) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = t.coordinator.broken(HandlerPanicked{Unit: t.ID()}, recover())
		}
	}()
	err = h(t.ctx, t)
	returned = true
	return err
}

func (t *Task) failed(err error) {
	if a := t.coordinator; err != nil && t.ctx.Err() == nil {
		a.client.emit(WorkFailed{Unit: t.ID(), Epoch: t.Epoch(), Owner: a.id, Err: err})
	}
}

// OnTakeOver offers this coordinator as an heir: h is called, in a goroutine of its own, for every unit that is handed
// over to it, with its last checkpoint, and with Claiming for units that nobody has owned yet. A unit whose task ended
// because this coordinator was suspended comes again when it has resumed and the call before has returned. Others learn of the heir by a heartbeat, which
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
