package coord_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestStress: senders, waits that give up, handlers that come and go, and receivers that leave and join again, all at
// once on the real clock. Every Send is acknowledged or reported, and what was acknowledged was handed over.
func TestStress(t *testing.T) {
	st := memstore.New()
	c := openOn(t, st, coord.Config{Poll: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var got tally
	var receivers, senders sync.WaitGroup
	for i := range 4 {
		receivers.Go(func() { receive(ctx, t, c, fmt.Sprint("receiver-", i), &got) })
	}
	acknowledged := make(chan string, 8*50)
	for i := range 8 {
		a := joinOn(t, st, fmt.Sprint("sender-", i), coord.Config{Poll: 10 * time.Millisecond})
		senders.Go(func() {
			for n := range 50 {
				ack, err := a.Send(t.Context(), fmt.Sprint("receiver-", n%4), "wake", nil, coord.Within(20*time.Second))
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged <- ack.SignalID
			}
		})
	}
	senders.Wait()
	cancel()
	receivers.Wait()
	close(acknowledged)
	for id := range acknowledged {
		if got.times[id] < 1 {
			t.Errorf("%s was acknowledged and not handed over", id)
		}
	}
}

// receive lives a restless life until ctx ends.
func receive(ctx context.Context, t *testing.T, c *coord.Client, id string, got *tally) {
	for ctx.Err() == nil {
		b, err := c.Join(t.Context(), id)
		if err != nil {
			t.Error(err)
			return
		}
		for range 3 {
			s, err := b.Wait(ctx, coord.Within(time.Millisecond))
			if err == nil {
				_, _ = got.handle(ctx, s)
			} else if !errors.Is(err, coord.ErrTimeout) && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			serving, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
			_ = b.Serve(serving, got.handle, coord.Workers(3))
			cancel()
		}
		if err := b.Leave(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// TestStressOneCoordinator: everything at once on one coordinator, closed in the middle of it. Nothing hangs.
func TestStressOneCoordinator(t *testing.T) {
	for range 20 {
		c := openOn(t, memstore.New(), coord.Config{Poll: time.Millisecond})
		a := must(c.Join(t.Context(), "coord-a"))
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := 0; a.Context().Err() == nil; n++ {
					switch (i + n) % 4 {
					case 0:
						_, _ = a.Post(t.Context(), "coord-a", "self", nil)
					case 1:
						_, _ = a.Wait(t.Context(), coord.Within(time.Millisecond))
					case 2:
						a.TryWait(t.Context())
					case 3:
						_, _ = a.Send(t.Context(), "coord-a", "self", nil, coord.Within(time.Millisecond))
					}
				}
			})
		}
		time.AfterFunc(20*time.Millisecond, func() { _ = c.Close() })
		all.Wait()
	}
}

// TestStressJoinAndClose: whoever joins while the Client is closed is either refused or closed, and holds nothing.
func TestStressJoinAndClose(t *testing.T) {
	for range 100 {
		st := &counted{Store: memstore.New()}
		c := openOn(t, st, coord.Config{})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				a, err := c.Join(t.Context(), fmt.Sprint("coord-", i))
				if err == nil {
					<-a.Context().Done()
					err = context.Cause(a.Context())
				}
				if !errors.Is(err, coord.ErrClosed) {
					t.Error(err)
				}
			})
		}
		all.Go(func() { _ = c.Close() })
		all.Wait()
		if n := st.subscriptions.Load(); n != 0 {
			t.Fatalf("%d subscriptions are left", n)
		}
	}
}

// TestHandlersMaySend: a handler sends to others, waits for their answer, and is asked back meanwhile.
func TestHandlersMaySend(t *testing.T) {
	a, b := pair(t, coord.Config{})
	forward := func(to *coord.Coordinator, from *coord.Coordinator) coord.Handler {
		return func(ctx context.Context, s *coord.Signal) ([]byte, error) {
			if len(s.Payload) == 0 {
				return []byte("end"), nil
			}
			ack, err := from.Send(ctx, to.ID(), "down", s.Payload[1:], coord.Within(10*time.Second))
			if err != nil {
				return nil, err
			}
			return ack.Result, nil
		}
	}
	t.Cleanup(must(a.Handle(forward(b, a), coord.Workers(8))))
	t.Cleanup(must(b.Handle(forward(a, b), coord.Workers(8))))
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			ack, err := a.Send(t.Context(), "coord-b", "down", make([]byte, 6), coord.Within(20*time.Second))
			if err != nil || string(ack.Result) != "end" {
				t.Errorf("%+v, %v", ack, err)
			}
		})
	}
	all.Wait()
}
