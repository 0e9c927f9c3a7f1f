package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/blocking-coordination/coord/internal/ticketlog"
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
	resting  []*Task // suspended: their Held goes on when we resume
	handler  TaskHandler
	claiming int
	opened   bool // there may be units without an owner
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
	return w.handler != nil, len(w.running) + len(w.resting)
}

// begin starts to run an epoch that is mine.
func (w *tasks) begin(ctx context.Context, i work.Intent, inherited bool) (*Task, error) {
	a := w.coordinator
	held, _, err := a.client.desk.Begin(ctx, a.owner(), i.Unit, i.Epoch)
	if err != nil {
		return nil, err
	}
	return w.run(&Task{coordinator: a, held: held, turn: make(chan struct{}, 1), inherited: inherited}), nil
}

// claim makes me the owner of epoch e+1 and takes it, in one turn: else the next scan would run it too.
func (w *tasks) claim(ctx context.Context, unit work.Unit, e int64) (work.Intent, error) {
	select {
	case w.scans <- struct{}{}:
		defer func() { <-w.scans }()
	case <-ctx.Done():
		return work.Intent{}, context.Cause(ctx)
	}
	return w.claimNow(ctx, unit, e)
}

// claimNow is claim for whoever scans.
func (w *tasks) claimNow(ctx context.Context, unit work.Unit, e int64) (work.Intent, error) {
	mine, decided, err := w.coordinator.client.desk.Claim(ctx, w.coordinator.owner(), unit, e)
	switch {
	case err != nil:
		return work.Intent{}, err
	case !mine:
		return work.Intent{}, taken(decided)
	case !w.list.Take(unit.ID, e+1):
		return work.Intent{}, fmt.Errorf("%w by this process: it runs already", ErrTaken)
	}
	unit.Digest = decided.Digest
	return work.Intent{Unit: unit, Epoch: e + 1}, nil
}

// run gives t a context of its own and lists it.
func (w *tasks) run(t *Task) *Task {
	t.ctx, t.end = context.WithCancelCause(w.coordinator.life)
	w.mu.Lock()
	w.running = append(w.running, t)
	w.mu.Unlock()
	w.coordinator.client.poller.start()
	return t
}

// resume returns a new Task for an epoch that was suspended, nil where there is none.
func (w *tasks) resume(unit string, epoch int64) *Task {
	w.mu.Lock()
	i := slices.IndexFunc(w.resting, func(t *Task) bool { return t.ID() == unit && t.Epoch() == epoch })
	if i < 0 {
		w.mu.Unlock()
		return nil
	}
	t := w.resting[i]
	w.resting = slices.Delete(w.resting, i, i+1)
	w.mu.Unlock()
	return w.run(&Task{coordinator: t.coordinator, held: t.held, turn: t.turn, inherited: t.inherited})
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
			if again := w.resume(t.ID(), t.Epoch()); again != nil {
				w.handle(again)
			}
		}
	}
}

// handle runs the handler for t in a goroutine that Leave joins.
func (w *tasks) handle(t *Task) {
	w.mu.Lock()
	h := w.handler
	w.handlers.Add(1)
	w.mu.Unlock()
	go func() {
		defer w.handlers.Done()
		c := w.coordinator.client
		if err := h(t.ctx, t); err != nil && t.ctx.Err() == nil {
			c.emit(WorkFailed{Unit: t.ID(), Epoch: t.Epoch(), Owner: w.coordinator.id, Err: err})
		}
	}()
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

// polled takes in the counter of the intent list.
func (w *tasks) polled(value []byte) {
	tail := int64(0)
	if value != nil {
		tail, _ = ticketlog.ParseTail(value, w.list.TailKey())
	}
	w.scanIf(func() bool { return !w.list.Idle(tail) })
}

// polledOpen takes in the counter of the units without an owner; the board is looked at only where there are any.
func (w *tasks) polledOpen(value []byte) {
	w.mu.Lock()
	w.opened = value != nil
	room := w.opened && w.room() > 0
	w.mu.Unlock()
	w.scanIf(func() bool { return room })
}

func (w *tasks) room() int { return w.claiming - len(w.running) - len(w.resting) }

// scanIf finds what has become mine and has it handled. If a scan is under way, the next poll does it.
func (w *tasks) scanIf(worth func() bool) {
	select {
	case w.scans <- struct{}{}:
		defer func() { <-w.scans }()
	default:
		return
	}
	if worth() {
		w.scan(w.coordinator.life)
	}
}

func (w *tasks) scan(ctx context.Context) {
	runnable, aside, err := w.list.Scan(ctx)
	w.report(aside, err)
	for _, i := range runnable {
		w.inherit(ctx, i)
	}
	w.claimOpen(ctx)
}

func (w *tasks) inherit(ctx context.Context, i work.Intent) {
	t, err := w.begin(ctx, i, true)
	switch {
	case err == nil:
		w.handle(t)
	case !errors.Is(err, work.ErrFenced):
		w.report([]work.Malformed{{Unit: i.Unit.ID, Key: w.coordinator.client.space.Unit(i.Unit.ID, i.Unit.Digest), Err: err}}, nil)
	}
}

// claimOpen claims units that nobody has owned yet, as many as there is room for.
func (w *tasks) claimOpen(ctx context.Context) {
	w.mu.Lock()
	room, opened := w.room(), w.opened
	w.mu.Unlock()
	if room <= 0 || !opened {
		return
	}
	units, aside, err := w.open.Read(ctx)
	w.report(aside, err)
	for _, u := range units {
		if room <= 0 || ctx.Err() != nil {
			return
		}
		if i, err := w.claimNow(ctx, u, 0); err == nil {
			room--
			w.inherit(ctx, i)
		}
	}
}

func (w *tasks) report(aside []work.Malformed, err error) {
	w.coordinator.client.setAside(aside)
	if err != nil {
		w.coordinator.client.emit(StoreFailed{err})
	}
}

func (c *Client) setAside(all []work.Malformed) {
	for _, m := range all {
		c.emit(WorkSetAside{Unit: m.Unit, Key: m.Key, Err: m.Err})
	}
}

// refresh keeps alive what I own or may come to own, once a day or more often.
func (w *tasks) refresh(ctx context.Context) error {
	w.mu.Lock()
	all := slices.Concat(w.running, w.resting)
	w.mu.Unlock()
	for _, t := range all {
		t.turn <- struct{}{}
		err := t.held.Refresh(ctx)
		t.leave()
		if err != nil {
			return err
		}
	}
	w.scans <- struct{}{}
	defer func() { <-w.scans }()
	return w.list.Refresh(ctx)
}

// heirStatus is the heartbeat's status of one who takes work over: "heir" and how many units it has.
func heirStatus(load int) string { return "heir:" + strconv.Itoa(load) }

// stop ends every task and joins the handlers, unless ctx ends before they return.
func (w *tasks) stop(ctx context.Context, cause error) error {
	w.mu.Lock()
	running := slices.Clone(w.running)
	w.claiming = 0
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
