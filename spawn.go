package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/work"
)

// Orphan is a unit of work for which there is no heir among the living.
type Orphan struct {
	Unit       string
	Epoch      int64 // that is to end: pass it to TakeEpoch
	Payload    []byte
	Progress   time.Duration // the unit's, as in Work; 0 where it has none
	Checkpoint []byte        // the newest of its last owner
	From       string        // who died
}

// Spawn has f called for a unit that has no heir: it is to start a coordinator, usually named like the dead one with
// "-recovery-<n>", that calls TakeEpoch. f is called again, after Policy.Stale, until the unit has an owner.
// After an error it is called again at the next Check; a panic is an error, and so is runtime.Goexit.
func Spawn(f func(ctx context.Context, o Orphan) error) MonitorOption {
	return func(m *Monitor) { m.spawn = f }
}

// spawning remembers when a unit's heir was last asked for.
type spawning struct {
	unit  string
	epoch int64
	at    time.Time
}

// spawnAll asks for a new coordinator for each orphan, unless one was asked for lately.
func (m *Monitor) spawnAll(ctx context.Context, from work.Owner, orphans []work.Intent) {
	now := m.client.Clock.Now()
	m.spawned = slices.DeleteFunc(m.spawned, func(s spawning) bool { return now.Sub(s.at) >= m.client.Policy.Stale })
	for _, i := range orphans {
		if slices.ContainsFunc(m.spawned, func(s spawning) bool { return s.unit == i.Unit.ID && s.epoch == i.Epoch }) {
			continue
		}
		if err := m.spawnOne(ctx, from, i); err != nil {
			m.client.emit(HandlerFailed{About: "an heir for unit " + i.Unit.ID, Err: err})
			continue // at the next Check
		}
		m.spawned = append(m.spawned, spawning{i.Unit.ID, i.Epoch, now})
	}
}

func (m *Monitor) spawnOne(ctx context.Context, from work.Owner, i work.Intent) error {
	payload, progress, err := m.desk.Payload(ctx, i.Unit)
	if err != nil {
		return err
	}
	checkpoint, err := m.desk.Base(ctx, i.Unit.ID, i.Epoch)
	if err != nil {
		return err
	}
	o := Orphan{i.Unit.ID, i.Epoch, payload, progress, checkpoint, from.ID}
	return m.client.guarded(o.Unit, func() error { return m.spawn(ctx, o) })
}

// TakeEpoch makes this coordinator the heir of an orphan: the owner of the epoch after Orphan.Epoch. It returns the task
// with the last checkpoint, or ErrTaken if another was faster.
func (a *Coordinator) TakeEpoch(ctx context.Context, o Orphan) (*Task, error) {
	if err := errors.Join(Work{ID: o.Unit, Payload: o.Payload}.check(), a.alive(), a.Suspended()); err != nil {
		return nil, err
	}
	t, err := a.takeEpoch(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("take over unit %s: %w", o.Unit, err)
	}
	a.client.emit(WorkHandedOver{Unit: t.ID(), Epoch: t.Epoch(), From: o.From, To: a.id})
	return t, nil
}

func (a *Coordinator) takeEpoch(ctx context.Context, o Orphan) (*Task, error) {
	unit := work.Unit{ID: o.Unit}
	if o.Epoch > 0 {
		before, found, err := a.client.desk.Ended(ctx, o.Unit, o.Epoch-1)
		if err != nil || !found {
			return nil, errors.Join(err, work.ErrNotOwned)
		}
		unit.Digest = before.Digest
		return a.claim(ctx, unit, o.Epoch)
	}
	unit, err := a.client.desk.PutUnit(ctx, o.Unit, o.Payload, o.Progress)
	if err != nil {
		return nil, err
	}
	return a.claim(ctx, unit, 0)
}
