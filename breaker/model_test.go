package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

// event is one attempt and how it ends, or some time that passes.
type event struct {
	err   error         // what the store answers
	ends  bool          // the caller's context ends during the attempt
	pause time.Duration // no attempt: time passes
}

var events = rapid.SampledFrom([]event{
	{err: errDown}, {err: errDown}, {err: errDown}, {err: errDown}, {err: errDown}, {err: errDown},
	{}, {err: store.ErrNotFound}, {err: store.ErrNotInteger}, {err: store.ErrWrongType},
	{err: store.ErrInvalidTTL}, {err: store.ErrDenied}, {err: errors.ErrUnsupported},
	{err: errDown, ends: true}, {err: errDown, ends: true},
	{pause: time.Second}, {pause: 6 * time.Second},
})

// model is a breaker in ten lines, for operations that come one by one without retries.
type model struct {
	failures int
	open     bool
	openedAt time.Time
}

func (m *model) lets() bool {
	return !m.open || time.Since(m.openedAt) > breaker.DefaultOpenTime
}

func (m *model) see(e event) {
	switch {
	case e.ends, silentAnswer(e.err): // neither for nor against
	case e.err == errDown:
		m.failures++
		if m.open || m.failures >= 5 {
			m.open, m.openedAt = true, time.Now()
		}
	default:
		*m = model{}
	}
}

func silentAnswer(err error) bool {
	return err == store.ErrInvalidTTL || err == store.ErrDenied || err == errors.ErrUnsupported
}

// checkB5: the caller's end, not-found, wrong type, no permission and their like never trip, are not retried, and are
// passed on; and they do not hide failures either.
func checkB5(b build, p plan) error {
	f := newFlaky(answer{})
	s := b(f, breaker.Retries(0))
	var m model
	for i, e := range p.events {
		time.Sleep(e.pause)
		if e.pause > 0 {
			continue
		}
		if err := m.step(f, s, e); err != nil {
			return fmt.Errorf("event %d of %v: %w", i, p.events, err)
		}
	}
	return p.notRetried(b)
}

func (m *model) step(f *flaky, s store.Store, e event) error {
	lets, before := m.lets(), len(f.attempts())
	err := e.meet(f, s)
	if n := len(f.attempts()) - before; (n == 1) != lets || n > 1 {
		return fmt.Errorf("%d attempts, let through: %v", n, lets)
	}
	if !lets {
		if !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("refused with %v", err)
		}
		return nil
	}
	m.see(e)
	return e.expect(err)
}

// meet does one operation that ends as e says.
func (e event) meet(f *flaky, s store.Store) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	f.set(answer{err: e.err})
	if e.ends {
		f.set(answer{e.err, never})
		defer time.AfterFunc(time.Millisecond, func() { cancel(errEnough) }).Stop()
	}
	_, err := s.Incr(ctx, "n")
	return err
}

func (e event) expect(err error) error {
	want := e.err
	switch {
	case e.ends:
		want = errEnough
	case e.err == errDown:
		want = store.ErrUnavailable
	}
	if !errors.Is(err, want) || errors.Is(err, store.ErrUnavailable) != (want == store.ErrUnavailable) {
		return fmt.Errorf("got %v, want %v", err, want)
	}
	return nil
}

// notRetried: with the default retries too, each of them is one attempt.
func (p plan) notRetried(b build) error {
	f := newFlaky(answer{})
	s := b(f)
	for _, e := range p.events {
		if e.pause > 0 || e.err == errDown && !e.ends {
			continue
		}
		before := len(f.attempts())
		if err := e.expect(e.meet(f, s)); err != nil {
			return err
		}
		if n := len(f.attempts()) - before; n != 1 {
			return fmt.Errorf("%v: %d attempts", e, n)
		}
	}
	return nil
}
