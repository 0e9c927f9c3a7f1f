package coord

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/work"
)

// Death says who was declared dead, and after what silence as the deciding monitor saw it (0 where another decided).
type Death struct {
	ID          string
	Incarnation int64
	Silent      time.Duration
}

// MonitorOption says what a Monitor does about the dead.
type MonitorOption func(*Monitor)

// OnDead has f called for every death by silence of whom this monitor looked at before everything was done about it, at
// least once per (id, incarnation): before it hands over the dead one's work itself, or after another monitor has done so.
// One that starts, or finds that the store lost its data, has looked at nobody yet. So where every monitor of a namespace
// has an OnDead, no death is untold whatever crashes; one without it may finish a death while none that has it runs. The
// error of f is reported and does not hold up the hand-over. A panic is an error, and so is runtime.Goexit.
func OnDead(f func(ctx context.Context, d Death) error) MonitorOption {
	return func(m *Monitor) { m.onDead = f }
}

// Heirs has pick choose who inherits a unit, by the id of one of the living, who are at least one. By default it is the
// one with the fewest units. Where pick names nobody of them, panics or calls runtime.Goexit, it is asked again at the next
// Check.
func Heirs(pick func(unit string, living []Heir) string) MonitorOption {
	return func(m *Monitor) { m.pick = pick }
}

// Monitor watches a namespace: it tells the living from the dead, and finishes what the dead have left. Any number of
// monitors may watch the same namespace. An Observer, and a function given to OnDead, Heirs or Spawn, may call Health, but
// not Check: it waits for the one that called them.
type Monitor struct {
	client *Client
	onDead func(context.Context, Death) error
	pick   func(string, []Heir) string
	spawn  func(context.Context, Orphan) error

	desk    *work.Desk    // in its own name: what it decides, it alone reports
	looks   chan struct{} // holds one token: whoever has it uses the next two
	watch   *detect.Watch
	losses  int64         // of the store, that the watch was told of
	chores  chan struct{} // holds one token: whoever has it uses what follows
	slow    progress
	spawned []spawning
	waiting []unhandled

	mu    sync.Mutex      // never held while calling out
	told  []work.Owner    // whose death OnDead was told of, while the watch knows them
	known []detect.Member // as of the last look; replaced, never changed
}

// chore is something to finish: an incarnation that is over, or superseded and not yet decided to be.
type chore struct {
	owner      work.Owner
	superseded bool
	silent     time.Duration
}

// Monitor returns a monitor that has seen nobody yet.
func (c *Client) Monitor(opts ...MonitorOption) *Monitor {
	m := &Monitor{client: c, desk: c.briefDesk(), looks: make(chan struct{}, 1), chores: make(chan struct{}, 1)}
	for _, o := range opts {
		o(m)
	}
	m.watch = &detect.Watch{
		Store: c.once, Space: c.space, Ring: c.ring, Policy: c.Policy.detection(), Times: c.times.Log,
		Now: c.Clock.Now, Name: m.desk.By, Refused: func(err error) { m.refused(err) },
		Decide: m.decide, Dead: m.dead, Handled: m.handled,
	}
	m.slow = progress{desk: m.desk, policy: c.Policy, now: c.Clock.Now}
	return m
}

// briefDesk is for those who come again anyway: past the breaker, and with a few attempts only.
func (c *Client) briefDesk() *work.Desk {
	d := *c.desk
	d.Store, d.By = c.once, newID()
	d.Pause = func(ctx context.Context, attempt int) error {
		if attempt >= briefly {
			return errBusy
		}
		return c.jitter(ctx, attempt)
	}
	return &d
}

const briefly = 5 // attempts of a brief desk

var errBusy = fmt.Errorf("%w: gave up after %d attempts", ErrUnavailable, briefly)

func (m *Monitor) refused(err error) {
	m.client.emit(SignalRefused{By: "monitor", Reason: string(envelope.ReasonOf(err)), Err: err})
}

// Check is one pass: it looks at everybody, warns, escalates, and goes on with what the dead have left. Call it every
// Policy.Check, from one goroutine or from many; it takes turns. An error says what could not be done; the next Check
// makes up for it.
func (m *Monitor) Check(ctx context.Context) error {
	todo, err := m.look(ctx)
	return errors.Join(err, m.finish(ctx, todo))
}

// Run checks every Policy.Check until ctx ends, and returns the cause. Hand-overs go on beside the checks, so that they
// delay no escalation. What could not be done is reported to the Observer, and done later.
func (m *Monitor) Run(ctx context.Context) error {
	c, todo := m.client, make(chan []chore, 1)
	var worker sync.WaitGroup
	defer worker.Wait()
	defer close(todo)
	worker.Go(func() {
		for some := range todo {
			m.complain(ctx, m.finish(ctx, some))
		}
	})
	failing := false
	for next := c.Clock.Now(); ; {
		some, err := m.look(ctx)
		m.complain(ctx, err)
		if failing && err == nil {
			c.emit(StoreRestored{}) // a monitor goes past the breaker, which would say so otherwise
		}
		failing = err != nil
		select {
		case todo <- some:
		default: // the worker is busy; what is not finished is found again
		}
		next = next.Add(c.Policy.Check)
		if late := c.Clock.Now().Sub(next); late > 0 {
			next = next.Add(late.Truncate(c.Policy.Check) + c.Policy.Check)
		}
		if !c.pause(ctx, next.Sub(c.Clock.Now())) {
			return context.Cause(ctx)
		}
	}
}

func (m *Monitor) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		m.client.emit(StoreFailed{err})
	}
}

// hold takes the token of turn, or returns why ctx ended.
func hold(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look is the part of a Check that must not be late. It returns what is to be finished.
func (m *Monitor) look(ctx context.Context) (todo []chore, err error) {
	if err := hold(ctx, m.looks); err != nil {
		return nil, err
	}
	defer func() { <-m.looks }()
	losses := m.client.losses.Load()
	lost := losses != m.losses
	if lost {
		m.losses = losses
		m.watch.Regressed()
	}
	report, err := m.watch.Check(ctx)
	m.remember(m.watch.Members()) // before anybody is told of it
	if lost || errors.Is(err, ErrStoreRegressed) {
		m.startOver()
	}
	for _, f := range report.Findings {
		todo = m.note(todo, f)
	}
	return todo, err
}

func (m *Monitor) remember(known []detect.Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = known
}

// note tells of a finding, and adds what follows from it.
func (m *Monitor) note(todo []chore, f detect.Finding) []chore {
	c := m.client
	switch f := f.(type) {
	case detect.Warned:
		c.emit(Warned{f.ID, f.Incarnation, f.K, f.Of, f.Silent, f.Mine})
	case detect.Recovered:
		c.emit(Recovered{f.ID, f.Incarnation})
	case detect.Dead:
		if f.Mine { // D4: said once, by the one whose decision it was
			c.emit(Dead{f.ID, f.Incarnation, f.Silent})
		}
		return append(todo, chore{owner: work.Owner{ID: f.ID, Incarnation: f.Incarnation}, silent: f.Silent})
	case detect.Gone:
		return append(todo, chore{owner: work.Owner{ID: f.ID, Incarnation: f.Incarnation}})
	case detect.Superseded:
		return append(todo, chore{owner: work.Owner{ID: f.ID, Incarnation: f.Incarnation}, superseded: true})
	}
	return todo
}

// finish does what follows from a look. It may take its time.
func (m *Monitor) finish(ctx context.Context, todo []chore) (err error) {
	if err := hold(ctx, m.chores); err != nil {
		return err
	}
	defer func() { <-m.chores }()
	for _, t := range todo {
		if t.superseded {
			_, _, e := m.desk.DecideDead(ctx, t.owner, work.Death{Reason: work.Superseded})
			err = errors.Join(err, e)
			continue
		}
		err = errors.Join(err, m.bury(ctx, t.owner, t.silent))
	}
	return errors.Join(err, m.hurry(ctx))
}

// bury finishes what follows a death: OnDead, then the hand-over, which ends with the mark that all is done.
func (m *Monitor) bury(ctx context.Context, o work.Owner, silent time.Duration) error {
	death, dead, err := m.desk.Dead(ctx, o)
	if err != nil || !dead {
		return err
	}
	if death.Reason == work.Silent {
		m.tell(ctx, o, silent)
	}
	h := &chooser{client: m.client, ctx: ctx, not: o, pick: m.pick, spawn: m.spawn != nil}
	moved, aside, err := m.desk.HandOver(ctx, o, h.choose)
	m.client.moved(moved)
	m.client.setAside(aside)
	m.spawnAll(ctx, o, h.orphans)
	if errors.Is(err, work.ErrNoHeir) || errors.Is(err, work.ErrSetAside) {
		return m.renew(ctx, o) // the next Check tries again
	}
	return err
}

// tell calls OnDead, once per death in this monitor.
func (m *Monitor) tell(ctx context.Context, o work.Owner, silent time.Duration) {
	if m.onDead == nil || m.wasTold(o) {
		return
	}
	m.mu.Lock()
	m.told = append(m.told, o)
	m.mu.Unlock()
	err := m.client.guarded("", func() error { return m.onDead(ctx, Death{o.ID, o.Incarnation, silent}) })
	if err != nil {
		m.client.emit(HandlerFailed{About: "the death of " + o.String(), Err: err})
	}
}

// guarded calls what a user wrote for a monitor, in a goroutine of its own: what one death or one unit brings about ends
// no process, nor a goroutine that others need, or it would end one monitor after the other.
func (c *Client) guarded(unit string, f func() error) (err error) {
	returned, done := false, make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if !returned {
				err = c.broken(unit, recover())
			}
		}()
		err = f()
		returned = true
	}()
	<-done
	return err
}

// broken tells of a monitor's function that panicked with v; nil where it vanished.
func (c *Client) broken(unit string, v any) error {
	err := fmt.Errorf("the handler panicked: %v", v)
	if v == nil {
		v, err = errVanished, errVanished
	}
	c.emit(HandlerPanicked{By: "monitor", Unit: unit, Value: v, Stack: string(debug.Stack())})
	return err
}

func (m *Monitor) wasTold(o work.Owner) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.told, o)
}

// forgetTold forgets that OnDead was told of o; nil: of anybody.
func (m *Monitor) forgetTold(o *work.Owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = slices.DeleteFunc(m.told, func(t work.Owner) bool { return o == nil || t == *o })
}

func (m *Monitor) decide(ctx context.Context, id string, incarnation int64, _ uint64, _ time.Duration) (bool, error) {
	o := work.Owner{ID: id, Incarnation: incarnation}
	_, mine, err := m.desk.DecideDead(ctx, o, work.Death{Reason: work.Silent})
	return mine, err
}

func (m *Monitor) dead(ctx context.Context, id string, incarnation int64) (bool, string, error) {
	death, dead, err := m.desk.Dead(ctx, work.Owner{ID: id, Incarnation: incarnation})
	return dead, string(death.Reason), err
}

// handled: also OnDead was told, where another was faster and it is still to be.
func (m *Monitor) handled(ctx context.Context, id string, incarnation int64, known bool) (bool, error) {
	o := work.Owner{ID: id, Incarnation: incarnation}
	done, err := m.desk.Handled(ctx, o)
	if done && known && m.onDead != nil && !m.wasTold(o) {
		death, dead, err := m.desk.Dead(ctx, o)
		return err == nil && (!dead || death.Reason != work.Silent), err
	}
	if done {
		m.forgetTold(&o) // and so does the watch
	}
	return done, err
}

// Health is what a monitor believes of a coordinator.
type Health struct {
	ID          string
	Incarnation int64
	State       string        // unknown, healthy, stale, dead
	Silent      time.Duration // as this monitor counts
	Warnings    int
}

// Health returns what the last Check knew, in the order of ids. Those of whom everything is handled are forgotten. It waits
// for no Check: whoever is told of a Warned, a Recovered or a Dead finds it here, and while a Check still looks, Health is
// as of the one before.
func (m *Monitor) Health() []Health {
	m.mu.Lock()
	known := m.known
	m.mu.Unlock()
	var all []Health
	for _, k := range known {
		all = append(all, Health{k.ID, k.Incarnation, k.Health.String(), k.Silent, k.Warnings})
	}
	return all
}
