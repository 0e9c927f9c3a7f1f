package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// unbegun is an epoch that is mine and whose beginning failed. Nobody else can begin it for as long as I live (X3), so it
// is kept for the next Accept, and for the scans where no caller will come back.
type unbegun struct {
	work.Intent
	again bool      // by a scan
	tried time.Time // last
}

// keep remembers what could not begin, unless its epoch is over.
func (w *tasks) keep(i work.Intent, inherited bool, err error) {
	if over(err) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claimed = append(w.claimed, unbegun{i, inherited && !spoilt(err), w.coordinator.client.Clock.Now()})
}

// over: the epoch has ended, or is another's.
func over(err error) bool { return errors.Is(err, ErrFenced) || errors.Is(err, ErrDone) }

// spoilt: what does not verify, or is gone, is not mended by trying again.
func spoilt(err error) bool {
	return store.Permanent(err) && !errors.Is(err, store.ErrDenied) || errors.Is(err, work.ErrMalformed) || errors.Is(err, agree.ErrForged)
}

// accepted takes an epoch that is mine already and was not begun.
func (w *tasks) accepted(unit work.Unit, epoch int64) (i work.Intent, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.IndexFunc(w.claimed, func(c unbegun) bool { return c.Unit.ID == unit.ID && c.Epoch == epoch })
	switch {
	case at < 0:
		return work.Intent{}, false, nil
	case w.claimed[at].Unit != unit:
		return work.Intent{}, false, errAnotherPayload
	}
	i = w.claimed[at].Intent
	w.claimed = slices.Delete(w.claimed, at, at+1)
	return i, true, nil
}

// due reports whether there is something to begin again.
func (w *tasks) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.claimed, w.dueNow())
}

// retries takes what is due.
func (w *tasks) retries() (all []work.Intent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.dueNow()
	for _, c := range w.claimed {
		if due(c) {
			all = append(all, c.Intent)
		}
	}
	w.claimed = slices.DeleteFunc(w.claimed, due)
	return all
}

// dueNow paces the attempts: the store, when it was asked last, said that asking again does not help.
func (w *tasks) dueNow() func(unbegun) bool {
	client := w.coordinator.client
	now := client.Clock.Now()
	return func(c unbegun) bool { return c.again && now.Sub(c.tried) >= client.Policy.Check }
}

// polled takes in the counter of the intent list.
func (w *tasks) polled(value []byte) {
	tail := int64(0)
	if value != nil {
		tail, _ = ticketlog.ParseTail(value, w.list.TailKey())
	}
	w.scanIf(func() bool { return !w.list.Idle(tail) || w.due() })
}

// polledOpen takes in the counter of the units without an owner; the board is looked at only where there are any.
func (w *tasks) polledOpen(value []byte) {
	w.mu.Lock()
	w.opened = value != nil
	room := w.opened && w.room() > 0
	w.mu.Unlock()
	w.scanIf(func() bool { return room })
}

func (w *tasks) room() int { return w.claiming - w.load() }

// load is how many units this coordinator has, those too whose beginning is to be tried again.
func (w *tasks) load() int {
	n := len(w.running) + len(w.resting)
	for _, c := range w.claimed {
		if c.again {
			n++
		}
	}
	return n
}

// scanIf finds what has become mine and has it handled. If a scan is under way, the next poll does it.
func (w *tasks) scanIf(worth func() bool) {
	select {
	case w.scans <- struct{}{}:
		defer func() { <-w.scans }()
	default:
		return
	}
	if !w.stops() && worth() {
		w.scan(w.coordinator.life)
	}
}

func (w *tasks) scan(ctx context.Context) {
	for _, i := range w.retries() {
		w.inherit(ctx, i)
	}
	runnable, aside, err := w.list.Scan(ctx)
	w.noticed(err)
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
	case over(err):
	case spoilt(err):
		w.report([]work.Malformed{{Unit: i.Unit.ID, Key: w.coordinator.client.space.Unit(i.Unit.ID, i.Unit.Digest), Err: err}}, nil)
	default:
		w.report(nil, fmt.Errorf("begin unit %s, epoch %d: %w", i.Unit.ID, i.Epoch, err))
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
		if room <= 0 || ctx.Err() != nil || w.stops() {
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
