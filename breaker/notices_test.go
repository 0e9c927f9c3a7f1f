package breaker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

var kinds = map[store.NoticeKind]string{
	store.NoticeFailure: "failure", store.NoticeRetry: "retry", store.NoticeRestored: "restored", store.NoticeOpen: "open",
	store.NoticeHalfOpen: "half-open", store.NoticeClosed: "closed", store.NoticeRegressed: "regressed",
}

// diary writes down what it is told.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(n store.Notice) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := kinds[n.Kind]
	if n.Kind == store.NoticeRetry {
		line = fmt.Sprintf("retry %d in %v", n.Attempt, n.Delay)
	}
	d.lines = append(d.lines, line)
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("got %q\nwant %q", d.lines, want)
	}
	d.lines = nil
}

func TestNoticesOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFlaky(answer{err: errDown}), &diary{}
		b := breaker.Wrap(f)
		cancel := b.Capabilities().Notices.Notify(d.note)
		_ = op(t.Context(), b, 0)
		d.expect(t, "failure", "retry 1 in 1s", "failure", "retry 2 in 2s", "failure", "retry 3 in 4s",
			"failure", "retry 4 in 8s", "failure", "open")
		time.Sleep(breaker.DefaultOpenTime + 1)
		_ = op(t.Context(), b, 0)
		d.expect(t, "half-open", "failure", "open")
		time.Sleep(breaker.DefaultOpenTime + 1)
		f.set(answer{err: store.ErrWrongType})
		_ = op(t.Context(), b, 0)
		d.expect(t, "half-open", "restored", "closed")
		_ = op(t.Context(), b, 0)
		d.expect(t)
		cancel()
		f.set(answer{err: errDown})
		_ = op(t.Context(), b, 0)
		d.expect(t)
	})
}

// The notice of a pause comes before the pause, not after it.
func TestNoticesOfAShortFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		b := breaker.Wrap(newFlaky(answer{}, answer{err: errDown}))
		b.Capabilities().Notices.Notify(d.note)
		go op(t.Context(), b, 0)
		synctest.Wait()
		d.expect(t, "failure", "retry 1 in 1s")
		time.Sleep(time.Second)
		synctest.Wait()
		d.expect(t, "restored")
	})
}

// A listener is called with no lock held: it may use the store, ask for the breaker's state, listen and stop listening.
func TestAListenerMayDoAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFlaky(answer{err: errDown}), &diary{}
		b := breaker.Wrap(f, breaker.Retries(0), breaker.FailureThreshold(1))
		notices := b.Capabilities().Notices
		var cancel func()
		cancel = notices.Notify(func(n store.Notice) {
			_ = op(t.Context(), b, 0)
			d.note(n) // after what was told meanwhile, if that were told here and not after us
			notices.Notify(func(store.Notice) {})()
			if n.Kind == store.NoticeClosed {
				cancel()
			}
		})
		_ = op(t.Context(), b, 0)
		d.expect(t, "failure", "open")
		time.Sleep(breaker.DefaultOpenTime + 1)
		f.set(answer{})
		_ = op(t.Context(), b, 0)
		d.expect(t, "half-open", "restored", "closed")
	})
}

// One that panics does not silence the others for ever.
func TestAListenerThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		b := breaker.Wrap(newFlaky(answer{err: errDown}), breaker.Retries(0))
		cancel := b.Capabilities().Notices.Notify(func(store.Notice) { panic("listener") })
		func() {
			defer func() { _ = recover() }()
			_ = op(t.Context(), b, 0)
			t.Error("the panic was swallowed")
		}()
		cancel()
		b.Capabilities().Notices.Notify(d.note)
		_ = op(t.Context(), b, 0)
		d.expect(t, "failure")
	})
}

type regressing struct {
	*capable
	fn func(store.Notice)
}

func (r *regressing) Notify(fn func(store.Notice)) func() {
	r.fn = fn
	return func() { r.fn = nil }
}

func TestNoticesOfTheStoreAreMerged(t *testing.T) {
	r, d := &regressing{capable: newCapable(answer{})}, &diary{}
	r.caps.Notices = r
	cancel := breaker.Wrap(r).Capabilities().Notices.Notify(d.note)
	r.fn(store.Notice{Kind: store.NoticeRegressed})
	d.expect(t, "regressed")
	if cancel(); r.fn != nil {
		t.Error("cancel did not reach the store")
	}
}

// Whoever delivers, the changes of state arrive in order, and none is lost.
func TestNoticesComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := newFlaky(answer{err: errDown, after: time.Millisecond}), &diary{}
		b := breaker.Wrap(f, breaker.OpenTime(time.Second))
		b.Capabilities().Notices.Notify(func(n store.Notice) {
			if n.Kind >= store.NoticeOpen {
				d.note(n)
			}
		})
		_ = together(50, func() error {
			for range 20 {
				_ = op(context.Background(), b, 0)
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		for i, line := range d.lines {
			if want := []string{"open", "half-open"}[i%2]; line != want {
				t.Fatalf("%d: %v", i, d.lines)
			}
		}
		if len(d.lines) < 5 {
			t.Errorf("only %q", d.lines)
		}
	})
}
