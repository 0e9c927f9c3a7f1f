package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// hasty is for a demonstration: a death is known within about two seconds.
var hasty = coord.Policy{
	Beat: 100 * time.Millisecond, TTL: time.Second, Stale: time.Second, Warnings: 3, Spacing: 250 * time.Millisecond,
	Window: time.Minute, Check: 100 * time.Millisecond,
}

// cable is a store that can be unplugged: to all others, whoever uses it then is as silent as the dead.
type cable struct {
	store.Store
	cut atomic.Bool
}

var errUnplugged = errors.New("the cable is cut")

func (c *cable) plugged() error {
	if c.cut.Load() {
		return errUnplugged
	}
	return nil
}

func (c *cable) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := c.plugged(); err != nil {
		return err
	}
	return c.Store.SetEX(ctx, key, value, ttl)
}

func (c *cable) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.plugged(); err != nil {
		return nil, err
	}
	return c.Store.Get(ctx, key)
}

func (c *cable) Incr(ctx context.Context, key string) (int64, error) {
	if err := c.plugged(); err != nil {
		return 0, err
	}
	return c.Store.Incr(ctx, key)
}

func (c *cable) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if err := c.plugged(); err != nil {
		return false, err
	}
	return c.Store.Expire(ctx, key, ttl)
}

func (c *cable) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := c.plugged(); err != nil {
		return nil, err
	}
	return c.Store.Keys(ctx, prefix)
}

// doomed is coord-crash at work, and the cable that it hangs on.
func (s *stage) doomed() (*coord.Task, *cable, error) {
	line := &cable{Store: s.store}
	c, err := coord.Open(line, coord.Config{Secret: s.secret, Policy: hasty})
	if err != nil {
		return nil, nil, err
	}
	s.clients = append(s.clients, c)
	me, err := c.Join(s.app.ctx, "coord-crash")
	if err != nil {
		return nil, nil, err
	}
	task, err := me.Accept(s.app.ctx, coord.Work{ID: "u-1", Payload: []byte("count to 10")})
	if err == nil {
		err = task.Checkpoint(s.app.ctx, []byte("at 6"))
	}
	return task, line, err
}

// legacy is what coord-heir found.
type legacy struct {
	task       *coord.Task
	checkpoint []byte
	err        error
}

// heir is coord-heir, who finishes what it inherits.
func (s *stage) heir() (<-chan legacy, error) {
	c, err := s.process(coord.Config{Policy: hasty})
	if err != nil {
		return nil, err
	}
	me, err := c.Join(s.app.ctx, "coord-heir")
	if err != nil {
		return nil, err
	}
	found := make(chan legacy, 1)
	return found, me.OnTakeOver(func(ctx context.Context, t *coord.Task) error {
		last, err := t.LastCheckpoint(ctx)
		if err == nil {
			err = t.Done(ctx, []byte("10"))
		}
		found <- legacy{t, last, err}
		return err
	})
}

// sentries are two monitors; what they see comes through the channel until stop is called.
func (s *stage) sentries() (seen <-chan coord.Event, stop func(), err error) {
	events := make(chan coord.Event, 1000)
	ctx, cancel := context.WithCancel(s.app.ctx)
	c, err := s.process(coord.Config{Policy: hasty, Observer: coord.ObserverFunc(func(e coord.Event) {
		switch e.(type) {
		case coord.Warned, coord.Dead, coord.WorkHandedOver:
			events <- e
		}
	})})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { ended <- c.Monitor().Run(ctx) }()
	}
	return events, func() { cancel(); <-ended; <-ended; close(events) }, nil
}

func sceneTakeOver(s *stage) error {
	task, line, err := s.doomed()
	if err != nil {
		return err
	}
	found, err := s.heir()
	if err != nil {
		return err
	}
	seen, stop, err := s.sentries()
	if err != nil {
		return err
	}
	s.say("coord-crash owns unit u-1 in epoch %d, and has a checkpoint: at 6; two monitors watch", task.Epoch())
	s.say("its cable is cut: no heartbeat arrives any more")
	line.cut.Store(true)
	defer line.cut.Store(false) // it has to leave
	err = s.told(seen)
	if err != nil {
		stop()
		return err
	}
	left, err := s.await(found)
	stop()
	if err = errors.Join(err, onlyOnce(seen)); err != nil {
		return err
	}
	s.seen("coord-heir went on from checkpoint %q in epoch %d, and is done", left.checkpoint, left.task.Epoch())
	return s.resurrect(task, line)
}

// await is what the heir found, once it has finished.
func (s *stage) await(found <-chan legacy) (legacy, error) {
	select {
	case got := <-found:
		if got.err == nil && (string(got.checkpoint) != "at 6" || got.task.Epoch() != 2) {
			got.err = fmt.Errorf("the heir began with %q in epoch %d", got.checkpoint, got.task.Epoch())
		}
		return got, got.err
	case <-s.app.ctx.Done():
		return legacy{}, context.Cause(s.app.ctx)
	case <-time.After(2 * patience):
		return legacy{}, errors.New("nobody inherited the unit")
	}
}

// told prints what the monitors find out about coord-crash, until it was declared dead and its work was handed over,
// perhaps by the other monitor before the first has said so.
func (s *stage) told(seen <-chan coord.Event) error {
	warned, late := 0, time.After(2*patience)
	for left := 2; left > 0; {
		select {
		case e := <-seen:
			w, warning := e.(coord.Warned)
			if warning && (w.ID != "coord-crash" || w.K <= warned) {
				continue // both saw it
			}
			if warned = max(warned, w.K); !warning {
				left--
			}
			text, _ := describe(e)
			s.seen("%s", text)
		case <-s.app.ctx.Done():
			return context.Cause(s.app.ctx)
		case <-late:
			return fmt.Errorf("nothing was handed over after %d warnings", warned)
		}
	}
	return nil
}

// onlyOnce: whatever else was seen, there was no second escalation and no second hand-over.
func onlyOnce(rest <-chan coord.Event) error {
	for e := range rest {
		if _, warned := e.(coord.Warned); !warned {
			return fmt.Errorf("once more: %+v", e)
		}
	}
	return nil
}

// resurrect: the dead one is back, and may not commit.
func (s *stage) resurrect(task *coord.Task, line *cable) error {
	s.say("coord-crash is back, and knows nothing of its death: it commits its own result")
	line.cut.Store(false)
	err := task.Done(s.app.ctx, []byte("9"))
	if !errors.Is(err, coord.ErrFenced) {
		return fmt.Errorf("the resurrected committed: %v", err)
	}
	s.seen("refused: %v", err)
	return nil
}
