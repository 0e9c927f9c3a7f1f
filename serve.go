package coord

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/blocking-coordination/coord/internal/mailbox"
)

// Handler handles one signal. What it returns is the result in the signal's acknowledgement; an error is a rejection
// and its text travels to the sender. ErrLater has the signal delivered again. A panic is a rejection. ctx ends when
// this incarnation may not act any more, or when Serve's context does; the call must then return, since Leave and Close
// wait for it. So it must not call them itself.
type Handler func(ctx context.Context, s *Signal) (result []byte, err error)

// Workers bounds how many handler calls run at once; 1 by default, which keeps the order of the signals.
func Workers(n int) Option { return func(o *options) { o.workers = max(n, 1) } }

// server hands signals to a handler. busy is guarded by turns.mu.
type server struct {
	coordinator *Coordinator
	handler     Handler
	workers     int
	busy        int
	ctx         context.Context
	cancel      context.CancelCauseFunc
	running     sync.WaitGroup
}

// free reports whether a signal could be handled now; false for nil.
func (s *server) free() bool { return s != nil && s.busy < s.workers }

// Handle has every signal that no Wait takes handled by h, until the returned function is called. It needs no goroutine
// while there is nothing to handle. stop returns when all calls of h have. A coordinator has one handler at a time:
// ErrInvalidConfig if it has one already.
func (a *Coordinator) Handle(h Handler, opts ...Option) (stop func(), err error) {
	s, err := a.handle(h, opts)
	if err != nil {
		return nil, err
	}
	return func() { a.turns.retire(s, context.Canceled) }, nil
}

func (a *Coordinator) handle(h Handler, opts []Option) (*server, error) {
	s := &server{coordinator: a, handler: h, workers: max(optionsOf(opts).workers, 1)}
	s.ctx, s.cancel = context.WithCancelCause(a.life)
	if err := a.turns.serve(s); err != nil {
		return nil, err
	}
	a.client.poller.start()
	return s, nil
}

// Serve is Handle, and blocks until ctx ends or this incarnation does; it returns the cause. No call of h is running
// any more by then.
func (a *Coordinator) Serve(ctx context.Context, h Handler, opts ...Option) error {
	server, err := a.handle(h, opts)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		a.turns.retire(server, context.Cause(ctx))
		return context.Cause(ctx)
	case <-a.life.Done():
		a.turns.retire(server, context.Cause(a.life))
		return fmt.Errorf("%s: %w", a.id, context.Cause(a.life))
	}
}

func (t *turns) serve(s *server) error {
	t.mu.Lock()
	switch ended := t.ended; {
	case ended != nil:
		t.mu.Unlock()
		return fmt.Errorf("%s: %w", t.coordinator.id, ended)
	case t.server != nil:
		t.mu.Unlock()
		return fmt.Errorf("%w: %s has a handler already", ErrInvalidConfig, t.coordinator.id)
	}
	t.server, t.read = s, true
	t.turn(false)
	return nil
}

func (t *turns) serving() *server {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.server
}

// retire lets s finish what it has begun; it gets nothing more.
func (t *turns) retire(s *server, cause error) {
	t.dismiss(s, cause)
	s.running.Wait()
}

// dismiss is retire without waiting.
func (t *turns) dismiss(s *server, cause error) {
	t.mu.Lock()
	if t.server == s {
		t.server = nil
	}
	t.mu.Unlock()
	s.cancel(cause)
}

// stopServing is retire, but waits no longer than ctx.
func (a *Coordinator) stopServing(ctx context.Context) error {
	s := a.turns.serving()
	if s == nil {
		return nil
	}
	a.turns.dismiss(s, ErrClosed)
	over := make(chan struct{})
	if !a.client.run(func() { s.running.Wait(); close(over) }) {
		return ErrClosed
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// handle runs the handler for d and acknowledges with what came of it (S4).
func (s *server) handle(d *mailbox.Delivery) {
	a := s.coordinator
	defer s.running.Done()
	a.handedOver(d)
	result, err := s.call(d)
	if errors.Is(err, ErrLater) {
		a.turns.again(d, a.client.Poll)
	} else {
		a.acknowledge(d, result, err)
	}
	a.turns.done(s)
}

func (s *server) call(d *mailbox.Delivery) (result []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			a := s.coordinator
			a.client.emit(HandlerPanicked{By: a.id, SignalID: d.Signal.ID, Value: v, Stack: string(debug.Stack())})
			err = errors.New("the handler panicked")
		}
	}()
	return s.handler(s.ctx, public(d))
}

// done frees a worker and sees whether something waits for it.
func (t *turns) done(s *server) {
	t.mu.Lock()
	s.busy--
	t.mu.Unlock()
	t.leave(job{do: (*turns).look})
}
