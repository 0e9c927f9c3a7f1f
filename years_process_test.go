package coord_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// start begins a run. The processes differ in what their drivers can do.
func (p *process) start(kind int) {
	if p.years.ctx.Err() != nil {
		return
	}
	l := &link{sky: p.sky, name: p.name, bare: kind%5 == 4}
	st := store.Store(l)
	if kind%4 != 3 {
		st = breaker.Wrap(l)
	}
	r := &run{process: p, link: l, members: map[string]*coord.Coordinator{}}
	r.ctx, r.end = context.WithCancel(p.years.ctx)
	r.client = must(coord.Open(st, coord.Config{Secret: secret, Observer: r, Poll: 10 * time.Second}))
	if len(p.ids) == 0 {
		r.monitor = r.client.Monitor()
	}
	p.mu.Lock()
	p.run = r
	p.mu.Unlock()
	p.note(p.name, "starts")
	for _, id := range p.ids {
		p.goes(func() { r.join(id) })
	}
	if r.monitor != nil {
		p.all.Go(func() { _ = r.monitor.Run(r.ctx) })
	}
}

// crash ends the run: the store never hears of it again. False if it was down.
func (p *process) crash() bool {
	p.mu.Lock()
	r := p.run
	p.run = nil
	p.mu.Unlock()
	if r == nil {
		return false
	}
	r.link.crash()
	p.sky.count(p.name, "crashes")
	r.mu.Lock()
	for id, a := range r.members {
		p.life(work.Owner{ID: id, Incarnation: a.Incarnation()}, func(l *incarnated) { l.crashed = time.Now() })
	}
	r.mu.Unlock()
	r.end()
	p.all.Go(func() { _ = r.client.Close() }) // to free what it holds here
	return true
}

// join has id live in this run, unless that has ended.
func (r *run) join(id string) {
	r.returns(id)
	for r.ctx.Err() == nil {
		a, err := r.client.Join(r.ctx, id)
		if err == nil {
			r.begin(a)
			return
		}
		r.note(id, fmt.Sprintf("does not join: %v", err))
		pause(r.ctx, 5*time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// begin gives a its part: two of three serve, the others wait; every fourth inherits.
func (r *run) begin(a *coord.Coordinator) {
	r.joined(work.Owner{ID: a.ID(), Incarnation: a.Incarnation()}, r.name)
	r.mu.Lock()
	r.members[a.ID()] = a
	r.mu.Unlock()
	context.AfterFunc(a.Context(), func() { r.ended(a) })
	part := some(a.ID())
	if part%3 == 0 {
		r.all.Go(func() { r.waits(a) })
	} else if _, err := a.Handle(r.handle(a), coord.Workers(int(part%3))); err != nil {
		r.note(a.ID(), err)
	}
	if part%4 == 0 {
		inherit := func(_ context.Context, t *coord.Task) error { r.work(a, t); return nil }
		if err := a.OnTakeOver(inherit, coord.Claiming(2)); err != nil {
			r.note(a.ID(), err)
		}
	}
}

// some number follows from s.
func some(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32() >> 8
}

// ended: who was fenced joins again.
func (r *run) ended(a *coord.Coordinator) {
	r.mu.Lock()
	delete(r.members, a.ID())
	r.mu.Unlock()
	if r.ctx.Err() == nil && errors.Is(context.Cause(a.Context()), coord.ErrFenced) {
		r.life(work.Owner{ID: a.ID(), Incarnation: a.Incarnation()}, func(l *incarnated) { l.fenced = time.Now() })
		r.goes(func() { pause(r.ctx, time.Second); r.join(a.ID()) })
	}
}

// leave: who has left in good order is never declared dead.
func (r *run) leave(a *coord.Coordinator) {
	r.returns(a.ID())
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	err := a.Leave(ctx)
	r.note(a.ID(), fmt.Sprintf("incarnation %d leaves: %v", a.Incarnation(), err))
	if err == nil && !errors.Is(context.Cause(a.Context()), coord.ErrFenced) {
		r.life(work.Owner{ID: a.ID(), Incarnation: a.Incarnation()}, func(l *incarnated) { l.left = true })
	}
}

// waits takes one signal after the other, with pauses.
func (r *run) waits(a *coord.Coordinator) {
	for n := 0; a.Context().Err() == nil && r.ctx.Err() == nil; n++ {
		within := time.Duration(1+n%10) * time.Minute
		began := time.Now()
		s, err := a.Wait(r.ctx, coord.Within(within))
		r.waited(a.ID(), within, time.Since(began), err)
		if errors.Is(err, coord.ErrClosed) || errors.Is(err, coord.ErrFenced) {
			return
		}
		if err == nil {
			r.got(a, s)
			pause(r.ctx, time.Duration(some(s.ID)%20_000)*time.Millisecond)
		}
	}
}

// got records what was handed over.
func (r *run) got(a *coord.Coordinator, s *coord.Signal) {
	if s.Round != "" {
		r.asked(a, s)
		return
	}
	r.handed(a, string(s.Payload))
}

// handle takes its time, and refuses some.
func (r *run) handle(a *coord.Coordinator) coord.Handler {
	answer := coord.Answer(func(_ context.Context, round string, s *coord.Signal) (string, error) {
		return fmt.Sprintf("%s by %s/%d", round, a.ID(), a.Incarnation()), nil
	})
	return func(ctx context.Context, s *coord.Signal) ([]byte, error) {
		if s.Round == "" && r.postpone(a, string(s.Payload)) {
			return nil, coord.ErrLater
		}
		r.got(a, s)
		pause(ctx, time.Duration(some(s.ID)%4000)*time.Millisecond)
		switch {
		case s.Round != "":
			return answer(ctx, s)
		case some(s.ID)%20 == 0:
			return nil, errors.New("no")
		}
		return s.Payload, nil
	}
}

// accept owns a unit and works on it, and again whenever that was interrupted by a suspension.
func (r *run) accept(a *coord.Coordinator, id string) {
	for r.ctx.Err() == nil && a.Context().Err() == nil {
		t, err := a.Accept(r.ctx, coord.Work{ID: id, Payload: []byte(id)})
		if errors.Is(err, coord.ErrTaken) || errors.Is(err, coord.ErrFenced) {
			return
		}
		if err == nil {
			r.accepted(id)
			if r.work(a, t) {
				return
			}
		}
		pause(r.ctx, 10*time.Second)
	}
}

// add leaves a unit to whoever claims it.
func (r *run) add(id string) {
	for r.ctx.Err() == nil {
		if err := r.client.AddWork(r.ctx, coord.Work{ID: id, Payload: []byte(id)}); err == nil {
			r.accepted(id)
			return
		}
		pause(r.ctx, 10*time.Second)
	}
}

// work does the unit. False: it was interrupted, or the outcome is not known.
func (r *run) work(a *coord.Coordinator, t *coord.Task) (over bool) {
	r.note(a.ID(), fmt.Sprintf("works on %s, epoch %d", t.ID(), t.Epoch()))
	for n := range some(t.ID()) % 4 {
		pause(t.Context(), time.Duration(some(t.ID())%600+1)*time.Second)
		if err := t.Checkpoint(r.ctx, fmt.Append(nil, n)); errors.Is(err, coord.ErrFenced) || errors.Is(err, coord.ErrDone) {
			return true
		}
	}
	result := fmt.Sprintf("%s/%d, epoch %d of %s", a.ID(), a.Incarnation(), t.Epoch(), t.ID())
	for r.ctx.Err() == nil {
		err := t.Done(r.ctx, []byte(result))
		r.note(a.ID(), fmt.Sprintf("ends %s, epoch %d: %v", t.ID(), t.Epoch(), err))
		switch {
		case err == nil:
			r.done(t.ID(), result)
			return true
		case errors.Is(err, coord.ErrFenced), errors.Is(err, coord.ErrDone), errors.Is(err, coord.ErrClosed):
			return true
		case errors.Is(err, coord.ErrSuspended):
			return false
		}
		pause(r.ctx, time.Second)
	}
	return false
}

// Observe implements coord.Observer.
func (r *run) Observe(e coord.Event) {
	switch e := e.(type) {
	case coord.Beat, coord.SignalPosted, coord.SignalHandedOver, coord.SignalAcknowledged, coord.WaitStarted, coord.WaitEnded,
		coord.StoreRetry, coord.StoreFailed, coord.SignalFailed:
		return
	case coord.Dead:
		r.escalated(e)
	case coord.Warned:
		r.warned(e)
	case coord.StoreRegressed:
		r.disowned(e)
	}
	r.observed(e)
	r.note(r.name, e)
}
