package coord_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func open(t testing.TB, st *memstore.Store, cfg coord.Config) *coord.Client {
	t.Helper()
	cfg.Secret = secret
	c, err := coord.Open(st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func join(t testing.TB, c *coord.Client, id string) *coord.Coordinator {
	t.Helper()
	a, err := c.Join(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSendBlocksUntilTheAck(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	a, b := join(t, open(t, st, coord.Config{}), "coord-a"), join(t, open(t, st, coord.Config{}), "coord-b")
	got := make(chan *coord.Signal, 1)
	go func() {
		s, _ := b.Wait(ctx)
		got <- s
	}()
	ack, err := a.Send(ctx, "coord-b", "wake", []byte("go on"), coord.Within(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	s := <-got
	if s == nil || s.From != "coord-a" || s.Type != "wake" || string(s.Payload) != "go on" || s.ID != ack.SignalID {
		t.Fatalf("got %+v, ack %+v", s, ack)
	}
}

func TestManyRounds(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	a, b := join(t, open(t, st, coord.Config{}), "coord-a"), join(t, open(t, st, coord.Config{}), "coord-b")
	stop, err := b.Handle(func(_ context.Context, s *coord.Signal) ([]byte, error) { return s.Payload, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for i := range 3000 {
		want := fmt.Sprint(i)
		ack, err := a.Send(ctx, "coord-b", "echo", []byte(want), coord.Within(5*time.Second))
		if err != nil || string(ack.Result) != want {
			t.Fatalf("%d: %+v, %v", i, ack, err)
		}
	}
}

func TestTimeoutAndTryWait(t *testing.T) {
	ctx := context.Background()
	clock := memstore.NewFakeClock(time.Time{})
	st := memstore.New(memstore.WithClock(clock))
	a := join(t, open(t, st, coord.Config{}), "coord-a")
	if _, ok := a.TryWait(ctx); ok {
		t.Fatal("something from nothing")
	}
	result := make(chan error, 1)
	go func() {
		_, err := a.Wait(ctx, coord.Within(10*time.Second))
		result <- err
	}()
	for clock.Pending() < 3 { // a beat, a poll, and the timeout
		runtime.Gosched()
	}
	clock.Advance(10 * time.Second)
	if err := <-result; !errors.Is(err, coord.ErrTimeout) {
		t.Fatal(err)
	}
	if _, err := a.Post(ctx, "coord-a", "self", nil); err != nil {
		t.Fatal(err)
	}
	if s, ok := a.TryWait(ctx, coord.OfType("self")); !ok || s.Type != "self" {
		t.Fatal("a posted signal is not there")
	}
}

func BenchmarkSendServe(b *testing.B) {
	ctx := context.Background()
	st := memstore.New()
	x, y := join(b, open(b, st, coord.Config{}), "coord-a"), join(b, open(b, st, coord.Config{}), "coord-b")
	stop, _ := y.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return nil, nil })
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Send(ctx, "coord-b", "wake", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSendWait(b *testing.B) {
	ctx := context.Background()
	st := memstore.New()
	x, y := join(b, open(b, st, coord.Config{}), "coord-a"), join(b, open(b, st, coord.Config{}), "coord-b")
	go func() {
		for {
			if _, err := y.Wait(ctx); err != nil {
				return
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Send(ctx, "coord-b", "wake", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestGuestSupersedesNobody(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	c := open(t, st, coord.Config{})
	a, b := join(t, c, "coord-a"), join(t, c, "coord-b")
	stop, err := b.Handle(func(_ context.Context, s *coord.Signal) ([]byte, error) { return []byte(s.From), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	g, err := open(t, st, coord.Config{}).Guest("coord-a")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, send := range []func() (*coord.Ack, error){
		func() (*coord.Ack, error) { return g.Send(ctx, "coord-b", "wake", nil, coord.Within(5*time.Second)) },
		func() (*coord.Ack, error) { return a.Send(ctx, "coord-b", "wake", nil, coord.Within(5*time.Second)) },
	} {
		if ack, err := send(); err != nil || string(ack.Result) != "coord-a" {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
	if a.Context().Err() != nil {
		t.Fatal("the coordinator of that name has ended")
	}
}

// Who leaves decides his own end; the beat that reads the decision is no reason to call him fenced.
func TestLeavingIsNotFencing(t *testing.T) {
	st, fenced := memstore.New(), make(chan coord.Fenced, 100)
	watch := coord.ObserverFunc(func(e coord.Event) {
		if f, ok := e.(coord.Fenced); ok {
			fenced <- f
		}
	})
	policy := coord.FastPolicy()
	policy.Beat = time.Millisecond
	c := open(t, st, coord.Config{Observer: watch, Policy: policy})
	for i := range 100 {
		a := join(t, c, fmt.Sprintf("coord-%d", i%3))
		if err := a.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		if cause := context.Cause(a.Context()); !errors.Is(cause, coord.ErrClosed) {
			t.Fatalf("ended with %v", cause)
		}
	}
	if len(fenced) > 0 {
		t.Fatalf("%+v", <-fenced)
	}
}
