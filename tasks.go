package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/blocking-coordination/coord/internal/work"
)

// tasks is what a coordinator owns, and how it learns what it inherits.
type tasks struct {
	coordinator *Coordinator
	scans       chan struct{}    // holds one token: whoever has it uses list and open
	list        *work.List       // what was meant for me
	open        *work.OpenReader // what nobody has owned yet

	mu       sync.Mutex
	running  []*Task
	resting  []*Task       // suspended: their Held goes on when we resume
	claimed  []unbegun     // mine, and not begun yet
	starting []work.Intent // taken, and about to run
	handler  TaskHandler
	claiming int
	opened   bool  // there may be units without an owner
	stopped  error // why nothing is taken on any more
	handlers sync.WaitGroup
}

func (w *tasks) init(a *Coordinator) {
	w.coordinator = a
	w.scans = make(chan struct{}, 1)
	w.list = a.client.desk.List(a.owner())
	w.open = a.client.desk.OpenUnits()
}

// offer registers the handler.
func (w *tasks) offer(h TaskHandler, claiming int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handler != nil {
		return fmt.Errorf("%w: %s takes over already", ErrInvalidConfig, w.coordinator.id)
	}
	w.handler, w.claiming = h, claiming
	return nil
}

// offers reports whether this coordinator is an heir, and how many units it has.
func (w *tasks) offers() (heir bool, load int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handler != nil && w.stopped == nil, w.load()
}

// begin starts to run an epoch that is mine.
func (w *tasks) begin(ctx context.Context, i work.Intent, inherited bool) (*Task, error) {
	defer w.started(i)
	a := w.coordinator
	held, _, err := a.client.desk.Begin(ctx, a.owner(), i.Unit, i.Epoch)
	if err != nil {
		w.keep(i, inherited, err)
		return nil, err
	}
	t := &Task{coordinator: a, held: held, turn: make(chan struct{}, 1), calls: make(chan struct{}, 1), inherited: inherited}
	return w.run(t), nil
}

// claim makes me the owner of epoch e+1 and takes it, in one turn: else the next scan would run it too.
func (w *tasks) claim(ctx context.Context, unit work.Unit, e int64) (work.Intent, error) {
	select {
	case w.scans <- struct{}{}:
		defer func() { <-w.scans }()
	case <-ctx.Done():
		return work.Intent{}, context.Cause(ctx)
	}
	i, ok, err := w.accepted(unit, e+1)
	if !ok && err == nil {
		i, err = w.claimNow(ctx, unit, e)
	}
	if err == nil {
		w.starts(i)
	}
	return i, err
}

// claimNow is claim for whoever scans.
func (w *tasks) claimNow(ctx context.Context, unit work.Unit, e int64) (work.Intent, error) {
	mine, decided, err := w.coordinator.client.desk.Claim(ctx, w.coordinator.owner(), unit, e)
	switch {
	case err != nil:
		return work.Intent{}, err
	case !mine:
		return work.Intent{}, taken(decided)
	case decided.Digest != unit.Digest: // the scans take what it is
		return work.Intent{}, errAnotherPayload
	case !w.list.Take(unit.ID, e+1):
		return work.Intent{}, fmt.Errorf("%w by this process: it runs already", ErrTaken)
	}
	return work.Intent{Unit: unit, Epoch: e + 1}, nil
}

// run gives t a context of its own and lists it. D6: what begins while we are suspended waits until we resume. What begins
// while we leave has ended.
func (w *tasks) run(t *Task) *Task {
	t.ctx, t.end = context.WithCancelCause(w.coordinator.life)
	w.mu.Lock()
	w.running = append(w.running, t)
	stopped := w.stopped
	w.mu.Unlock()
	if stopped != nil {
		t.end(stopped)
	}
	if w.coordinator.Suspended() != nil {
		w.rest(t)
	}
	w.coordinator.client.poller.start()
	return t
}

// rest suspends one task. The next good beat resumes it.
func (w *tasks) rest(t *Task) {
	w.mu.Lock()
	if i := slices.Index(w.running, t); i >= 0 {
		w.running = slices.Delete(w.running, i, i+1)
		w.resting = append(w.resting, t)
	}
	w.mu.Unlock()
	t.end(ErrSuspended)
}

// resume returns a new Task for an epoch that was suspended, nil where there is none.
func (w *tasks) resume(unit work.Unit, epoch int64) (*Task, error) {
	t, err := w.unrest(unit, epoch)
	if t == nil {
		return nil, err
	}
	defer w.started(t.intent())
	return w.run(&Task{coordinator: t.coordinator, held: t.held, turn: t.turn, calls: t.calls, inherited: t.inherited}), nil
}

func (w *tasks) unrest(unit work.Unit, epoch int64) (*Task, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.resting, func(t *Task) bool { return t.ID() == unit.ID && t.Epoch() == epoch })
	if i < 0 {
		return nil, nil
	}
	t := w.resting[i]
	if t.held.Unit != unit {
		return nil, errAnotherPayload
	}
	w.resting = slices.Delete(w.resting, i, i+1)
	w.starting = append(w.starting, t.intent())
	return t, nil
}

func (w *tasks) forget(t *Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := func(o *Task) bool { return o.held == t.held }
	w.running = slices.DeleteFunc(w.running, gone)
	w.resting = slices.DeleteFunc(w.resting, gone)
}

// suspend ends the contexts of all tasks (D6); what they hold is kept.
func (w *tasks) suspend() {
	w.mu.Lock()
	suspended := w.running
	w.running, w.resting = nil, append(w.resting, suspended...)
	w.mu.Unlock()
	for _, t := range suspended {
		t.end(ErrSuspended)
	}
}

// resumeAll goes on with what the handler had begun.
func (w *tasks) resumeAll() {
	w.mu.Lock()
	resting := slices.Clone(w.resting)
	w.mu.Unlock()
	for _, t := range resting {
		if t.inherited {
			if again, _ := w.resume(t.held.Unit, t.Epoch()); again != nil {
				w.handle(again)
			}
		}
	}
}

// handle runs the handler for t in a goroutine that Leave joins, so it begins none that Leave did not end. What is
// suspended comes again when it is resumed, after the call before it has returned: both have the same fencing token (X1).
func (w *tasks) handle(t *Task) {
	w.mu.Lock()
	if w.stopped != nil || t.ctx.Err() != nil {
		w.mu.Unlock()
		return
	}
	h := w.handler
	w.handlers.Add(1)
	w.mu.Unlock()
	go func() {
		defer w.handlers.Done()
		t.handle(h)
	}()
}

// handle calls h when it is t's turn, if t has not ended by then.
func (t *Task) handle(h TaskHandler) {
	if takeTurn(t.ctx, t.calls) != nil {
		return
	}
	defer func() { <-t.calls }()
	if t.ctx.Err() != nil { // both at once
		return
	}
	err := errVanished
	defer func() { t.failed(err) }()
	err = t.call(h)
}

// questions are what a poll asks for this coordinator's work: whether it inherits, and whether it is still the owner.
func (w *tasks) questions() (all []question) {
	w.mu.Lock()
	heir, claiming, running := w.handler != nil, w.claiming, slices.Clone(w.running)
	w.mu.Unlock()
	c := w.coordinator.client
	if heir {
		all = append(all, question{w.list.TailKey(), w.polled})
	}
	if claiming > 0 {
		all = append(all, question{c.space.Open().Tail, w.polledOpen})
	}
	for _, t := range running {
		all = append(all, question{c.space.Epoch(t.ID(), t.Epoch()).Decision(), func(value []byte) {
			if value != nil {
				t.check()
			}
		}})
	}
	return all
}

func (w *tasks) interested() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handler != nil || len(w.running) > 0
}

// check ends t if its epoch has ended.
func (t *Task) check() {
	c := t.coordinator.client
	decided, ended, err := c.desk.Ended(c.life, t.ID(), t.Epoch())
	switch {
	case err != nil || !ended:
	case decided.Done != nil:
		t.finish(ErrDone)
	default:
		t.finish(ErrFenced)
	}
}

// refresh keeps alive what I own or may come to own, once a day or more often: first that I own it, for a task whose turn
// does not end holds up what follows (X1).
func (w *tasks) refresh(ctx context.Context) error {
	err := w.refreshList(ctx)
	w.mu.Lock()
	all := slices.Concat(w.running, w.resting)
	w.mu.Unlock()
	for _, t := range all {
		err = errors.Join(err, t.refresh(ctx))
	}
	return err
}

func (w *tasks) refreshList(ctx context.Context) error {
	if err := takeTurn(ctx, w.scans); err != nil {
		return err
	}
	defer func() { <-w.scans }()
	return errors.Join(w.list.Refresh(ctx), w.refreshOpen(ctx))
}

// refreshOpen keeps alive what I will claim when I have room.
func (w *tasks) refreshOpen(ctx context.Context) error {
	w.mu.Lock()
	claiming := w.claiming > 0 && w.opened
	w.mu.Unlock()
	if !claiming {
		return nil
	}
	aside, err := w.open.Refresh(ctx)
	w.report(aside, nil)
	return err
}

// heirStatus is the heartbeat's status of one who takes work over: "heir" and how many units it has.
func heirStatus(load int) string { return "heir:" + strconv.Itoa(load) }

func (w *tasks) stops() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped != nil
}

// stop ends every task and joins the handlers, unless ctx ends before they return. What comes meanwhile is not begun: it
// stays in the list, from which it is handed over once our end is decided (I1).
func (w *tasks) stop(ctx context.Context, cause error) error {
	w.mu.Lock()
	running := slices.Clone(w.running)
	w.claiming, w.stopped = 0, cause
	w.mu.Unlock()
	for _, t := range running {
		t.end(cause)
	}
	joined := make(chan struct{})
	go func() { w.handlers.Wait(); close(joined) }()
	select {
	case <-joined:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a task handler is still running: %w", context.Cause(ctx))
	}
}
