package redisstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// perCommand bounds how many channels one SUBSCRIBE names.
const perCommand = 1000

var (
	errSilent  = errors.New("redisstore: the subscription's connection is silent")
	errDemoted = errors.New("redisstore: the server turned read-only")
)

// session is one connection. The keeper's goroutine writes to it, a second one reads, and in Cluster a third one looks at
// the other masters.
type session struct {
	hints *hints
	conn  *redis.PubSub
	heard atomic.Int64 // when the reader last read anything, as time.Duration since start
	start time.Time
	first chan struct{} // the server has confirmed a subscription
	ended chan error    // the reader's last words
}

// session connects, subscribes to everything, and serves until the connection dies or ctx ends.
func (h *hints) session(ctx context.Context, k *keeper, wake, redo <-chan struct{}) error {
	s := &session{hints: h, conn: h.link.client().Subscribe(ctx), start: time.Now()}
	s.first, s.ended = make(chan struct{}, 1), make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	defer func() { _ = s.conn.Close() }() // this also ends the reader
	if err := s.tell(ctx, h.everything(ctx), s.conn.Subscribe); err != nil {
		return failure(ctx, "SUBSCRIBE", "", err)
	}
	others.Go(func() { s.ended <- s.read(ctx) })
	if err := k.identify(ctx, h); err != nil {
		return err
	}
	if err := s.confirmed(ctx); err != nil {
		return failure(ctx, "SUBSCRIBE", "", err)
	}
	k.stands(h)
	others.Go(func() { k.watch(ctx, h) })
	return s.write(ctx, wake, redo)
}

// confirmed waits until the server has confirmed a subscription: it may answer everything else and deny that.
func (s *session) confirmed(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.hints.set.timeout, errSilent)
	defer cancel()
	select {
	case <-s.first:
		return nil
	case err := <-s.ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write tells the server what changes, and asks it for a sign of life when there was none for a period.
func (s *session) write(ctx context.Context, wake, redo <-chan struct{}) error {
	tick := time.NewTicker(s.hints.set.pingEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-redo:
			return errDemoted
		case err = <-s.ended:
			return failure(ctx, "SUBSCRIBE", "", err)
		case <-wake:
			err = s.update(ctx)
		case <-tick.C:
			err = s.checkLife(ctx)
		}
		if err != nil {
			return failure(ctx, "SUBSCRIBE", "", err)
		}
	}
}

func (s *session) update(ctx context.Context) error {
	add, remove := s.hints.changes(ctx)
	if err := s.tell(ctx, remove, s.conn.Unsubscribe); err != nil {
		return err
	}
	return s.tell(ctx, add, s.conn.Subscribe)
}

// tell never names no channel: for Unsubscribe that would mean all.
func (s *session) tell(ctx context.Context, channels []string, how func(context.Context, ...string) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.hints.set.timeout)
	defer cancel()
	for some := range slices.Chunk(channels, perCommand) {
		if err := how(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

// checkLife: a connection that is cut off without a word reads as silence. The ping of one tick is answered by the next.
func (s *session) checkLife(ctx context.Context) error {
	silence := time.Since(s.start) - time.Duration(s.heard.Load())
	if silence > 2*s.hints.set.pingEvery {
		return errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, s.hints.set.timeout)
	defer cancel()
	return s.conn.Ping(ctx)
}

// read dispatches until the connection ends. It sets no deadline: one that passes amid a message would lose its rest.
func (s *session) read(ctx context.Context) error {
	for {
		got, err := s.conn.ReceiveTimeout(ctx, 0)
		if err != nil {
			return err
		}
		s.heard.Store(int64(time.Since(s.start)))
		switch m := got.(type) {
		case *redis.Message:
			s.hints.deliver(m.Channel, m.Payload)
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				poke(s.first)
				s.hints.missed(m.Channel)
			}
		}
	}
}
