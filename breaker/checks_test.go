package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
)

// build makes what is under test. A check is a function of it, so that the mutants can be shown to fail it.
type build func(s store.Store, opts ...breaker.Option) store.Store

func wrap(s store.Store, opts ...breaker.Option) store.Store { return breaker.Wrap(s, opts...) }

// plan is what a check draws. Each check uses what it needs.
type plan struct {
	op        int
	answers   []answer        // of the first attempts, all failures
	good      int             // which attempt succeeds, from 0; 5 and above: none
	probes    []answer        // how the probes are met
	starts    []time.Duration // of concurrent operations
	cancelAt  time.Duration
	deadline  bool // the context ends by its deadline instead of being cancelled
	events    []event
	onceFails int
}

func latency() *rapid.Generator[time.Duration] {
	return rapid.SampledFrom([]time.Duration{0, time.Millisecond, 300 * time.Millisecond, 999 * time.Millisecond, never})
}

var plans = rapid.Custom(func(t *rapid.T) plan {
	failure := rapid.Map(latency(), func(d time.Duration) answer { return answer{errDown, d} })
	probe := rapid.Custom(func(t *rapid.T) answer {
		err := rapid.SampledFrom([]error{errDown, nil, store.ErrWrongType, store.ErrDenied, store.ErrInvalidTTL}).Draw(t, "err")
		return answer{err, latency().Draw(t, "latency")}
	})
	millis := func(limit int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, limit), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	return plan{
		op:        rapid.IntRange(0, 4).Draw(t, "op"),
		answers:   rapid.SliceOfN(failure, 5, 5).Draw(t, "answers"),
		good:      rapid.IntRange(0, 7).Draw(t, "good"),
		probes:    rapid.SliceOfN(probe, 1, 5).Draw(t, "probes"),
		starts:    rapid.SliceOfN(millis(20_000), 2, 12).Draw(t, "starts"),
		cancelAt:  millis(20_000).Draw(t, "cancelAt"),
		deadline:  rapid.Bool().Draw(t, "deadline"),
		events:    rapid.SliceOfN(events, 1, 60).Draw(t, "events"),
		onceFails: rapid.IntRange(5, 20).Draw(t, "onceFails"),
	}
})

// limit is the deadline of one attempt of p's operation.
func (p plan) limit() time.Duration {
	if p.op%5 == 3 {
		return breaker.DefaultKeysTimeout
	}
	return breaker.DefaultAttemptTimeout
}

// trip opens s's breaker by one operation that fails as planned.
func (p plan) trip(f *flaky, s store.Store) error {
	err := op(context.Background(), s, p.op)
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDown) && p.answers[4].after != never {
		return fmt.Errorf("an operation that failed returned %v", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the attempt's own deadline looks like the caller's: %v", err)
	}
	if n := len(f.attempts()); n != 5 {
		return fmt.Errorf("%d attempts, want 5", n)
	}
	return nil
}

// checkB1: closed, open after five failures, half-open after 5 s, one probe with its own deadline, closed or open.
func checkB1(b build, p plan) error {
	f := newFlaky(answer{errDown, 0}, p.answers...)
	s := b(f)
	if err := p.trip(f, s); err != nil {
		return err
	}
	for _, probe := range p.probes {
		f.set(probe)
		if err := refused(f, s); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		time.Sleep(breaker.DefaultOpenTime)
		if err := refused(f, s); err != nil {
			return fmt.Errorf("open for 5 s to the nanosecond: %w", err)
		}
		time.Sleep(1)
		closed, err := p.probe(f, s, probe)
		if closed || err != nil {
			return err
		}
	}
	return nil
}

// probe sends one operation into a half-open breaker, and others that must be refused meanwhile.
func (p plan) probe(f *flaky, s store.Store, a answer) (closed bool, err error) {
	before, begun := len(f.attempts()), time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- op(ctx, s, p.op) }()
	if a.after > 0 {
		time.Sleep(min(a.after, time.Second) / 2)
		if err := refused(f, s); err != nil {
			cancel()
			<-done
			return false, fmt.Errorf("while a probe is under way: %w", err)
		}
	}
	err = <-done
	if took, most := time.Since(begun), min(a.after, p.limit()); took != most {
		return false, fmt.Errorf("the probe took %v, want %v", took, most)
	}
	if n := len(f.attempts()) - before; n != 1 {
		return false, fmt.Errorf("half-open: %d attempts, want 1", n)
	}
	return p.afterProbe(f, s, a, err)
}

func (p plan) afterProbe(f *flaky, s store.Store, a answer, err error) (closed bool, _ error) {
	switch {
	case a.after == never || errors.Is(a.err, errDown): // open again
		if !errors.Is(err, store.ErrUnavailable) {
			return false, fmt.Errorf("a failed probe returned %v", err)
		}
		return false, nil
	case !errors.Is(err, a.err):
		return false, fmt.Errorf("the probe returned %v, want %v", err, a.err)
	case a.err != nil && !errors.Is(a.err, store.ErrWrongType): // silent: still half-open, the next is the probe
		f.set(answer{})
		err := op(context.Background(), s, p.op)
		return true, err
	}
	f.set(answer{}) // closed: many at once get through
	return true, together(5, func() error { return op(context.Background(), s, p.op) })
}

// refused: an operation fails with ErrUnavailable in no time and with no I/O.
func refused(f *flaky, s store.Store) error {
	before, begun := len(f.attempts()), time.Now()
	err := op(context.Background(), s, 0)
	if !errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("got %v, want ErrUnavailable", err)
	}
	if took := time.Since(begun); took != 0 {
		return fmt.Errorf("it took %v", took)
	}
	if n := len(f.attempts()) - before; n > 0 {
		return fmt.Errorf("%d attempts reached the store", n)
	}
	return nil
}

// together runs n of fn at once and returns their first error.
func together(n int, fn func() error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// checkB2: a lone operation is tried at 0, 1, 3, 7, 15 s plus the time of the operations.
func checkB2(b build, p plan) error {
	f := newFlaky(answer{}, p.answers[:min(p.good, 5)]...)
	if p.good >= 5 {
		f.rest = answer{errDown, 0}
	}
	err := op(context.Background(), b(f), p.op)
	if (err == nil) != (p.good < 5) {
		return fmt.Errorf("attempt %d succeeds: got %v", p.good, err)
	}
	var due time.Duration
	for i, got := range f.attempts() {
		if got.from != due {
			return fmt.Errorf("attempt %d at %v, want %v", i, got.from, due)
		}
		due = got.to + time.Second<<i
	}
	if n := len(f.attempts()); n != min(p.good+1, 5) {
		return fmt.Errorf("%d attempts, want %d", n, min(p.good+1, 5))
	}
	return nil
}

// checkB3: open means ErrUnavailable at once, without I/O or pause, also for operations that are in a pause.
func checkB3(b build, p plan) error {
	f := newFlaky(answer{errDown, 0}, p.answers...)
	s := b(f)
	ends := make([]time.Duration, len(p.starts))
	errs := make([]error, len(p.starts))
	var wg sync.WaitGroup
	for i, d := range p.starts {
		wg.Go(func() {
			time.Sleep(d)
			errs[i] = op(context.Background(), s, i)
			ends[i] = time.Since(f.start)
		})
	}
	wg.Wait()
	opened := openedAt(f.attempts())
	for i := range p.starts {
		if !errors.Is(errs[i], store.ErrUnavailable) {
			return fmt.Errorf("operation %d returned %v", i, errs[i])
		}
		from := p.starts[i]
		if from > opened && from <= opened+breaker.DefaultOpenTime && ends[i] != from {
			return fmt.Errorf("open: operation %d took %v", i, ends[i]-from)
		}
	}
	for _, a := range f.attempts() {
		if a.from > opened && a.from <= opened+breaker.DefaultOpenTime {
			return fmt.Errorf("open since %v: an attempt at %v", opened, a.from)
		}
	}
	return refusedLone(b, p)
}

// refusedLone: after one operation that failed five times, hundreds are refused in no time.
func refusedLone(b build, p plan) error {
	f := newFlaky(answer{errDown, 0}, p.answers...)
	s := b(f)
	if err := p.trip(f, s); err != nil {
		return err
	}
	for range 300 {
		if err := refused(f, s); err != nil {
			return err
		}
	}
	return nil
}

// openedAt is when the fifth attempt ended, where all fail.
func openedAt(spans []span) time.Duration {
	if len(spans) < 5 {
		return never
	}
	sort.Slice(spans, func(i, j int) bool { return spans[i].to < spans[j].to })
	return spans[4].to
}

var errEnough = errors.New("the caller has had enough")

// checkB4: a context that ends, in a pause or in an attempt, ends the operation at that moment with its cause.
func checkB4(b build, p plan) error {
	f := newFlaky(answer{errDown, 0}, p.answers...)
	s := b(f)
	ctx, cancel := p.ending()
	defer cancel()
	err := op(ctx, s, p.op)
	took, all := time.Since(f.start), 15*time.Second
	for _, a := range f.attempts() {
		all += a.to - a.from
	}
	want := errEnough
	if p.deadline {
		want = context.DeadlineExceeded
	}
	switch {
	case took < p.cancelAt: // it ended by itself before
		if len(f.attempts()) != 5 || took != all || !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("gave up after %v: %v", took, err)
		}
	case took > p.cancelAt:
		return fmt.Errorf("ended at %v, returned at %v: %v", p.cancelAt, took, err)
	case !errors.Is(err, want) && !(took == all && errors.Is(err, store.ErrUnavailable)):
		return fmt.Errorf("got %v, want %v", err, want)
	}
	return nil
}

// ending is a context that ends at cancelAt.
func (p plan) ending() (context.Context, context.CancelFunc) {
	if p.deadline {
		return context.WithTimeout(context.Background(), p.cancelAt)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	t := time.AfterFunc(p.cancelAt, func() { cancel(errEnough) })
	return ctx, func() { t.Stop(); cancel(nil) }
}

// checkB6: beats reach the store at once while others pause or are refused, in one attempt, and change nothing.
func checkB6(b build, p plan) error {
	f := newFlaky(answer{errDown, 0}, p.answers...)
	s := b(f)
	once := store.CapabilitiesOf(s).Once
	done := make(chan error, 1)
	go func() { done <- op(context.Background(), s, p.op) }()
	time.Sleep(p.cancelAt)
	if err := p.beat(f, once, answer{}); err != nil {
		return err
	}
	if err := p.beat(f, once, answer{errDown, never}); err != nil {
		return err
	}
	f.set(answer{errDown, 0})
	<-done
	return p.beatsDoNotCount(b)
}

// beat is one call by Once: one attempt, now.
func (p plan) beat(f *flaky, once store.Store, a answer) error {
	f.set(a)
	before, begun := len(f.attempts()), time.Since(f.start)
	err := op(context.Background(), once, 0)
	if (err == nil) != (a.err == nil) || errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("a beat met %v and returned %v", a.err, err)
	}
	if got := f.attempts()[before:]; len(got) == 0 || got[0].from != begun {
		return fmt.Errorf("the beat of %v reached the store at %v", begun, got)
	}
	if took, most := time.Since(f.start)-begun, min(a.after, breaker.DefaultAttemptTimeout); took != most {
		return fmt.Errorf("the beat took %v, want %v", took, most)
	}
	return nil
}

func (p plan) beatsDoNotCount(b build) error {
	f := newFlaky(answer{errDown, 0})
	s := b(f, breaker.Retries(0))
	once := store.CapabilitiesOf(s).Once
	for range 4 {
		_ = op(context.Background(), s, p.op)
	}
	for range p.onceFails {
		_ = op(context.Background(), once, p.op)
	}
	f.set(answer{})
	if err := op(context.Background(), once, p.op); err != nil {
		return fmt.Errorf("a beat: %w", err)
	}
	f.set(answer{errDown, 0}) // the fifth failure of those that count: it opens, and beats do not close it
	before := len(f.attempts())
	if _ = op(context.Background(), s, p.op); len(f.attempts()) != before+1 {
		return errors.New("failed beats opened the breaker")
	}
	f.set(answer{})
	_ = op(context.Background(), once, p.op)
	if err := refused(f, s); err != nil {
		return fmt.Errorf("a good beat closed the breaker: %w", err)
	}
	return nil
}
