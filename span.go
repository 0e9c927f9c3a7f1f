package coord

import (
	"context"
	"slices"
	"sync"
)

// span is the context of one Send: it ends with the caller's, or with the reason that end is given. Unlike a context of
// package context it costs nothing until somebody asks when it is done.
type span struct {
	context.Context // the caller's

	mu    sync.Mutex
	cause error
	done  chan struct{} // nil until somebody asks
	then  []*func()     // what AfterFunc was given
	leave func() bool   // the caller's context
}

// end ends it, unless it has ended.
func (s *span) end(cause error) {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return
	}
	s.cause = cause
	if s.done != nil {
		close(s.done)
	}
	then, leave := s.then, s.leave
	s.then = nil
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
	for _, f := range then {
		go (*f)()
	}
}

// Err is why it has ended, or nil. It serves as the cause too: context.Cause falls back on it.
func (s *span) Err() error {
	if s.Context.Err() != nil {
		return context.Cause(s.Context)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Done implements context.Context.
func (s *span) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		switch {
		case s.cause != nil:
			close(s.done)
		case s.Context.Done() != nil:
			s.leave = context.AfterFunc(s.Context, func() { s.end(context.Cause(s.Context)) })
		}
	}
	return s.done
}

// AfterFunc spares package context a goroutine for each context that is derived from this one.
func (s *span) AfterFunc(f func()) (stop func() bool) {
	s.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		go f()
		return func() bool { return false }
	}
	s.then = append(s.then, &f)
	return func() bool { return s.forget(&f) }
}

func (s *span) forget(f *func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.then, f)
	if i >= 0 {
		s.then = slices.Delete(s.then, i, i+1)
	}
	return i >= 0
}
