package coord

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/mailbox"
)

// Handler handles one signal. What it returns is the result in the signal's acknowledgement; an error is a rejection
// and its text travels to the sender. ErrLater has the signal delivered again. A panic is a rejection, and so is
// runtime.Goexit. ctx ends when this incarnation may not act any more, when Serve's context does, or by Handle's stop;
// the call must then return, since Leave and Close wait for it. So it must not call them itself. Who is stopped has not
// answered: once ctx has ended, an error that wraps context.Canceled or the cause of ctx's end counts as ErrLater, so the
// signal comes to the next handler or incarnation. Any other error is a rejection then too; a result counts.
type Handler func(ctx context.Context, s *Signal) (result []byte, err error)

// Workers bounds how many handler calls run at once; 1 by default, which keeps the order of the signals, but for those
// that come again after ErrLater: others are handled meanwhile.
func Workers(n int) Option { return func(o *options) { o.workers = max(n, 1) } }

// Once has Serve, or Handle, end with the first signal that its handler has answered or refused: Serve returns nil then,
// also where something else ended it meanwhile. So it is a Wait whose acknowledgement follows the handler.
func Once() Option { return func(o *options) { o.once = true } }

// server hands signals to a handler. busy is guarded by turns.mu.
type server struct {
	options
	coordinator *Coordinator
	handler     Handler
	since       time.Time
	busy        int
	spent       chan struct{} // closed when one was enough
	ctx         context.Context
	cancel      context.CancelCauseFunc
	running     sync.WaitGroup
}

// free reports whether a signal could be handled now; false for nil.
func (s *server) free() bool { return s != nil && s.busy < s.workers }

// Handle has every signal that no Wait takes, and that fits OfType and From where they are given, handled by h, until the
// returned function is called. It needs no goroutine while there is nothing to handle. stop returns when all calls of h
// have. A coordinator has one handler at a time: ErrInvalidConfig if it has one already.
func (a *Coordinator) Handle(h Handler, opts ...Option) (stop func(), err error) {
	s, err := a.handle(h, opts)
	if err != nil {
		return nil, err
	}
	return func() { a.turns.retire(s, context.Canceled) }, nil
}

func (a *Coordinator) handle(h Handler, opts []Option) (*server, error) {
	s := &server{
		options: optionsOf(opts), coordinator: a, handler: h, since: a.client.Clock.Now(), spent: make(chan struct{}),
	}
	if s.workers = max(s.workers, 1); s.once {
		s.workers = 1
	}
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
		err = context.Cause(ctx)
	case <-a.life.Done():
		err = fmt.Errorf("%s: %w", a.id, context.Cause(a.life))
	case <-server.spent:
	}
	a.turns.retire(server, cmp.Or(err, context.Canceled))
	if server.isSpent() { // W1: by now, whatever came first
		return nil
	}
	return err
}

func (s *server) isSpent() bool {
	select {
	case <-s.spent:
		return true
	default:
		return false
	}
}

func (t *turns) serve(s *server) error {
	t.mu.Lock()
	switch ended := t.ended; {
	case ended != nil, t.closing:
		t.mu.Unlock()
		return fmt.Errorf("%s: %w", t.coordinator.id, cmp.Or(ended, ErrClosed))
	case t.server != nil:
		t.mu.Unlock()
		return fmt.Errorf("%w: %s has a handler already", ErrInvalidConfig, t.coordinator.id)
	}
	t.server, t.read = s, true
	t.turn(false)
	return nil
}

// retire lets s finish what it has begun; it gets nothing more.
func (t *turns) retire(s *server, cause error) {
	t.mu.Lock()
	if t.server == s {
		t.server = nil
	}
	t.mu.Unlock()
	s.cancel(cause)
	s.running.Wait()
}

// stopServing has nobody serve any more, and waits until no handler runs or ctx ends: also for those that were dismissed
// before, or their ACKs would be lost with this process.
func (a *Coordinator) stopServing(ctx context.Context) error {
	quiet := a.turns.hush()
	if quiet == nil {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hush returns what is closed when no handler runs any more; nil if none does.
func (t *turns) hush() (quiet chan struct{}) {
	t.mu.Lock()
	s := t.server
	t.closing, t.server = true, nil
	if t.calls > 0 {
		quiet = make(chan struct{})
		t.quiet = append(t.quiet, quiet)
	}
	t.mu.Unlock()
	if s != nil {
		s.cancel(ErrClosed)
	}
	return quiet
}

func (t *turns) handToServer(d *mailbox.Delivery) bool {
	s := t.wishes.server
	t.mu.Lock()
	if s == nil || t.server != s || !s.matches(d.Signal) {
		t.mu.Unlock()
		return false
	}
	s.busy++
	t.calls++
	s.running.Add(1)
	t.mu.Unlock()
	if !t.coordinator.client.run(func() { s.handle(d) }) {
		t.returned(s) // closed: it is not acknowledged, so the next incarnation gets it
		s.running.Done()
	}
	return true
}

// errVanished is why a signal is rejected, or a unit failed, whose handler called runtime.Goexit, as t.FailNow does.
var errVanished = errors.New("the handler ended its goroutine")

// handle runs the handler for d and acknowledges with what came of it (S4), deferred: the handler may not come back.
func (s *server) handle(d *mailbox.Delivery) {
	defer s.running.Done()
	s.coordinator.handedOver(d)
	result, err := []byte(nil), errVanished
	defer func() { s.answered(d, result, err) }()
	result, err = s.call(d)
}

// stopped reports whether err says no more than that the call was stopped.
func (s *server) stopped(err error) bool {
	return s.ctx.Err() != nil && (errors.Is(err, s.ctx.Err()) || errors.Is(err, context.Cause(s.ctx)))
}

// answered draws the consequences of a call, and sees whether something waits for the worker.
func (s *server) answered(d *mailbox.Delivery, result []byte, err error) {
	a := s.coordinator
	if errors.Is(err, ErrLater) || s.stopped(err) {
		a.turns.again(d, a.client.Poll)
	} else {
		a.acknowledge(d, result, err)
		a.turns.enough(s)
	}
	a.turns.returned(s)
	a.turns.leave(job{do: (*turns).look})
}

func (s *server) call(d *mailbox.Delivery) (result []byte, err error) {
	returned := false
	defer func() {
		if !returned {
			err = s.coordinator.broken(HandlerPanicked{SignalID: d.Signal.ID}, recover())
		}
	}()
	result, err = s.handler(s.ctx, public(d))
	returned = true
	return result, err
}

// broken tells of a handler that panicked with v; nil where it vanished.
func (a *Coordinator) broken(e HandlerPanicked, v any) error {
	err := errors.New("the handler panicked")
	if v == nil {
		v, err = errVanished, errVanished
	}
	e.By, e.Value, e.Stack = a.id, v, string(debug.Stack())
	a.client.emit(e)
	return err
}

// enough gives s nothing more where one was enough.
func (t *turns) enough(s *server) {
	if !s.once {
		return
	}
	t.mu.Lock()
	if t.server == s {
		t.server = nil
	}
	t.mu.Unlock()
	close(s.spent)
}

// returned frees a worker. What its call owes is in the queue by then.
func (t *turns) returned(s *server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.busy--
	if t.calls--; t.calls > 0 {
		return
	}
	for _, quiet := range t.quiet {
		close(quiet)
	}
	t.quiet = nil
}
