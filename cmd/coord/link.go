package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store/redisstore"
)

const (
	leaveTime  = 5 * time.Second        // to leave in good order
	probeTime  = 300 * time.Millisecond // to see whether the store answers
	hurryTime  = 100 * time.Millisecond // to leave where it does not
	flushTime  = 20 * time.Second       // to write an acknowledgement that is owed: through all retries
	joinTime   = 5 * time.Second        // to join where the caller does not wait at all
	retryPause = 250 * time.Millisecond
)

// link is the way to the others: the driver, the store on it, the client on that, and who tells what happens.
type link struct {
	app      *app
	driver   *redisstore.Store
	store    *breaker.Breaker
	ring     *envelope.Ring
	client   *coord.Client
	narrator *narrator
}

// silence is go-redis's own log, which would repeat on stderr what the narrator tells.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// connect makes a link. It does no I/O. watchers are told what happens, besides the narrator.
func (a *app) connect(watchers ...coord.Observer) (*link, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	ring, err := envelope.NewRing(a.Namespace, cfg.Keys...)
	if err != nil {
		return nil, err
	}
	driver, err := a.openStore()
	if err != nil {
		return nil, err
	}
	l := &link{app: a, driver: driver, store: breaker.Wrap(driver), ring: ring, narrator: newNarrator(a.err)}
	cfg.Observer = coord.Observers(append(watchers, l.narrator)...)
	if l.client, err = coord.Open(l.store, cfg); err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	if a.AllowUnsigned {
		l.narrator.say("warning: --allow-unsigned: whoever can write to the store can send signals in any name")
	}
	return l, nil
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.driver.Close() // at the end of a process
}

// join joins as id, however often it has to try within the time; zero means that the caller does not wait, but joining
// itself may take a moment.
func (l *link) join(id string, within time.Duration) (*coord.Coordinator, error) {
	within = cmp.Or(within, joinTime)
	ctx, cancel := context.WithTimeout(l.app.ctx, within)
	defer cancel()
	return l.joinUntil(ctx, id, within)
}

// joinUntil is join until ctx ends, which was given that time.
func (l *link) joinUntil(ctx context.Context, id string, within time.Duration) (*coord.Coordinator, error) {
	for {
		me, err := l.client.Join(ctx, id)
		switch {
		case err == nil:
			return me, nil
		case l.app.ctx.Err() != nil:
			return nil, context.Cause(l.app.ctx)
		case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
			return nil, l.unavailable(within)
		case !errors.Is(err, coord.ErrUnavailable):
			return nil, err
		}
		pause(ctx, retryPause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// unavailable: nothing came back from the store within that time.
func (l *link) unavailable(within time.Duration) error {
	return l.app.unanswered(within, l.narrator.lastFailure())
}

// unanswered adds the reason, if one is known: the last failure of the store.
func (g *globals) unanswered(within time.Duration, last error) error {
	line := fmt.Sprintf("%s did not answer within %s", g.place(), human(within))
	if last != nil {
		line += ": " + last.Error()
	}
	return &failure{code: exitUnavailable, line: line, cause: coord.ErrUnavailable}
}

// leaveTime is short where the store does not answer: nothing can be written anyway.
func (l *link) leaveTime() time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	if l.client.Ping(ctx) != nil {
		return hurryTime
	}
	return leaveTime
}

// leave writes what is owed and returns err, or else why that could not be written.
func (l *link) leave(me *coord.Coordinator, err error) error {
	within := flushTime
	if err != nil {
		within = l.leaveTime()
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	failed := me.Leave(ctx)
	if err == nil && failed != nil {
		line := fmt.Sprintf("not everything could be written before leaving: %v", failed)
		return &failure{code: exitUnavailable, line: line, cause: failed}
	}
	return err
}
