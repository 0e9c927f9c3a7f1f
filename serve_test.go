package coord_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// pair is a sender and a receiver in processes of their own.
func pair(t tester, cfg coord.Config) (a, b *coord.Coordinator) {
	t.Helper()
	st := memstore.New()
	return joinOn(t, st, "coord-a", cfg), joinOn(t, st, "coord-b", cfg)
}

func TestServeLaterIsDeliveredAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		var calls []time.Duration
		began := time.Now()
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) {
			if calls = append(calls, time.Since(began)); len(calls) < 4 {
				return nil, coord.ErrLater
			}
			return []byte("done"), nil
		}))
		defer stop()
		ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
		if err != nil || string(ack.Result) != "done" {
			t.Fatalf("%+v, %v", ack, err)
		}
		if want := []time.Duration{0, coord.DefaultPoll, 2 * coord.DefaultPoll, 3 * coord.DefaultPoll}; !slices.Equal(calls, want) {
			t.Errorf("called at %v", calls)
		}
	})
}

// TestServeLaterIsNotLost: who could not handle it leaves it to a Wait, or to the next incarnation.
func TestServeLaterIsNotLost(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return nil, coord.ErrLater }))
		id := must(a.Post(t.Context(), "coord-b", "wake", nil))
		synctest.Wait()
		stop()
		if err := b.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := must(joinOn(t, st, "coord-b", coord.Config{}).Wait(t.Context()))
		if s.ID != id {
			t.Errorf("got %+v", s)
		}
	})
}

func TestServePanicIsARejection(t *testing.T) {
	in(t, func(t *testing.T) {
		seen := &record{}
		a, b := pair(t, coord.Config{Observer: seen})
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { panic("oh") }))
		defer stop()
		for range 2 { // it goes on
			ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
			if !errors.Is(err, coord.ErrRejected) || ack == nil {
				t.Fatalf("%+v, %v", ack, err)
			}
		}
		if p := of[coord.HandlerPanicked](seen); len(p) != 2 || p[0].Value != "oh" || p[0].Stack == "" {
			t.Errorf("%+v", p)
		}
	})
}

func TestServeWorkersBound(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			in(t, func(t *testing.T) {
				a, b := pair(t, coord.Config{})
				var now, most, calls atomic.Int64
				stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) {
					most.Store(max(most.Load(), now.Add(1)))
					time.Sleep(time.Second)
					now.Add(-1)
					calls.Add(1)
					return nil, nil
				}, coord.Workers(workers)))
				defer stop()
				began := time.Now()
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { must(a.Send(t.Context(), "coord-b", "wake", nil)) })
				}
				all.Wait()
				took := time.Duration((20 + workers - 1) / workers * int(time.Second))
				if most.Load() != int64(workers) || calls.Load() != 20 || time.Since(began) != took {
					t.Errorf("at most %d at once, %d calls in %v", most.Load(), calls.Load(), time.Since(began))
				}
			})
		})
	}
}

func TestServeKeepsTheOrder(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		for i := range 50 {
			must(a.Post(t.Context(), "coord-b", "wake", fmt.Append(nil, i)))
		}
		var got []string
		stop := must(b.Handle(func(_ context.Context, s *coord.Signal) ([]byte, error) {
			got = append(got, string(s.Payload))
			return nil, nil
		}))
		synctest.Wait()
		stop()
		for i := range 50 {
			if i >= len(got) || got[i] != fmt.Sprint(i) {
				t.Fatalf("got %v", got)
			}
		}
	})
}

// TestWaitGoesBeforeServe: a matching Wait takes a signal, though a handler would.
func TestWaitGoesBeforeServe(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		var handled atomic.Int64
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { handled.Add(1); return nil, nil }))
		defer stop()
		r := waiting(t.Context(), b, coord.OfType("mine"))
		synctest.Wait()
		must(a.Send(t.Context(), "coord-b", "other", nil))
		must(a.Send(t.Context(), "coord-b", "mine", nil))
		if r := <-r; r.err != nil || r.signal.Type != "mine" || handled.Load() != 1 {
			t.Errorf("%+v, %d handled", r, handled.Load())
		}
	})
}

// TestServeJoinsItsHandlers: no call is running any more when Serve returns.
func TestServeJoinsItsHandlers(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(cancel func(), b *coord.Coordinator)
		want error
	}{
		"context": {func(cancel func(), _ *coord.Coordinator) { cancel() }, context.Canceled},
		"leave":   {func(_ func(), b *coord.Coordinator) { _ = b.Leave(context.Background()) }, coord.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				a, b := pair(t, coord.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var running atomic.Int64
				served := make(chan error, 1)
				go func() {
					served <- b.Serve(ctx, func(ctx context.Context, _ *coord.Signal) ([]byte, error) {
						running.Add(1)
						defer running.Add(-1)
						<-ctx.Done()
						time.Sleep(time.Second) // it takes its time to end
						return []byte("late"), nil
					})
				}()
				ack := make(chan *coord.Ack, 1)
				go func() { ack <- must(a.Send(t.Context(), "coord-b", "wake", nil)) }()
				synctest.Wait()
				if running.Load() != 1 {
					t.Fatal("no handler runs")
				}
				end.by(cancel, b)
				if err := <-served; !errors.Is(err, end.want) || running.Load() != 0 {
					t.Errorf("%v, %d still running", err, running.Load())
				}
				if ack := <-ack; string(ack.Result) != "late" { // what was begun is acknowledged, by Leave too
					t.Errorf("%+v", ack)
				}
			})
		})
	}
}

// TestLeaveDoesNotWaitForEver: a handler that ignores its context holds Leave up until the context of Leave ends.
func TestLeaveDoesNotWaitForEver(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		release := make(chan struct{})
		must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { <-release; return nil, nil }))
		must(a.Post(t.Context(), "coord-b", "wake", nil))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(release)
	})
}

func TestOneHandlerAtATime(t *testing.T) {
	_, b := pair(t, coord.Config{})
	stop := must(b.Handle(echo))
	if _, err := b.Handle(echo); !errors.Is(err, coord.ErrInvalidConfig) {
		t.Error(err)
	}
	stop()
	stop() // harmless
	must(b.Handle(echo))()
	_ = b.Leave(t.Context())
	if err := b.Serve(t.Context(), echo); !errors.Is(err, coord.ErrClosed) {
		t.Error(err)
	}
}

// TestPayloadsAreNotShared: the ACK covers what was sent, whatever sender and receiver do with their bytes.
func TestPayloadsAreNotShared(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{MailboxLimit: 1})
		scribble := func(_ context.Context, s *coord.Signal) ([]byte, error) { clear(s.Payload); return nil, nil }
		stop := must(b.Handle(scribble))
		must(a.Send(t.Context(), "coord-b", "wake", []byte("served"), coord.Within(time.Second)))
		stop()
		payload := []byte("posted")
		must(a.Post(t.Context(), "coord-b", "wake", payload))
		clear(payload)
		s := must(b.Wait(t.Context()))
		if string(s.Payload) != "posted" {
			t.Errorf("got %q", s.Payload)
		}
		time.Sleep(time.Minute) // the sender has believed the ACK by then, else its one place is taken
		must(a.Post(t.Context(), "coord-b", "wake", nil))
	})
}
