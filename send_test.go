package coord_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestSendRejectedWithTheReason(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return nil, errors.New("not today") }))
		defer stop()
		ack, err := a.Send(t.Context(), "coord-b", "wake", nil)
		if !errors.Is(err, coord.ErrRejected) || !strings.Contains(err.Error(), "not today") || ack == nil {
			t.Errorf("%+v, %v", ack, err)
		}
	})
}

// TestSendTimesOutAndTheSignalStays: no ACK is not no delivery.
func TestSendTimesOutAndTheSignalStays(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		began := time.Now()
		_, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(100*time.Second))
		if !errors.Is(err, coord.ErrNoAck) || !errors.Is(err, coord.ErrTimeout) || errors.Is(err, coord.ErrUnavailable) {
			t.Error(err)
		}
		if took := time.Since(began); took != 100*time.Second {
			t.Errorf("after %v", took)
		}
		if s := must(b.Wait(t.Context())); s.Type != "wake" {
			t.Errorf("%+v", s)
		}
		if s, again := b.TryWait(t.Context()); again { // it was posted seven times
			t.Errorf("twice: %+v", s)
		}
	})
}

// TestSendsTimeOutEachAtItsOwn: one that is to post again only after its timeout is not put off by the timeout of another.
func TestSendsTimeOutEachAtItsOwn(t *testing.T) {
	in(t, func(t *testing.T) {
		a, _ := pair(t, coord.Config{})
		var all sync.WaitGroup
		defer all.Wait()
		for _, s := range []struct{ at, within time.Duration }{{0, 20 * time.Second}, {16 * time.Second, time.Second}} {
			all.Go(func() {
				time.Sleep(s.at)
				began := time.Now()
				_, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(s.within))
				if took := time.Since(began); took != s.within || !errors.Is(err, coord.ErrTimeout) {
					t.Errorf("within %v it took %v: %v", s.within, took, err)
				}
			})
		}
	})
}

func TestSendCancelled(t *testing.T) {
	in(t, func(t *testing.T) {
		a, _ := pair(t, coord.Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		if _, err := a.Send(ctx, "coord-b", "wake", nil); !errors.Is(err, errEnough) || !errors.Is(err, coord.ErrNoAck) {
			t.Error(err)
		}
	})
}

// TestSendAckAtTheTimeout: an ACK that stands at the timeout counts, though no hint told of it and no poll looked.
func TestSendAckAtTheTimeout(t *testing.T) {
	in(t, func(t *testing.T) {
		st := mute{memstore.New()}
		a := joinOn(t, st, "coord-a", coord.Config{Poll: time.Hour})
		b := joinOn(t, st, "coord-b", coord.Config{})
		stop := must(b.Handle(echo))
		defer stop()
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(5*time.Second)); err != nil {
			t.Error(err)
		}
	})
}

func TestMailboxFullAndFreeAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{MailboxLimit: 3})
		for range 3 {
			must(a.Post(t.Context(), "coord-b", "wake", nil))
		}
		if _, err := a.Post(t.Context(), "coord-b", "wake", nil); !errors.Is(err, coord.ErrMailboxFull) {
			t.Error(err)
		}
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil); !errors.Is(err, coord.ErrMailboxFull) {
			t.Error(err)
		}
		must(a.Post(t.Context(), "coord-c", "wake", nil)) // others have a mailbox of their own
		must(b.Wait(t.Context()))
		synctest.Wait()
		must(a.Post(t.Context(), "coord-b", "wake", nil))
	})
}

func TestBadInput(t *testing.T) {
	a, _ := pair(t, coord.Config{})
	long := strings.Repeat("x", 129)
	for name, c := range map[string]struct {
		to, typ string
		payload []byte
		want    error
	}{
		"no receiver":     {"", "wake", nil, coord.ErrInvalidID},
		"glob":            {"coord-*", "wake", nil, coord.ErrInvalidID},
		"separator":       {"a:b", "wake", nil, coord.ErrInvalidID},
		"type":            {"coord-b", "wake up", nil, coord.ErrInvalidID},
		"too long an id":  {long, "wake", nil, coord.ErrInvalidID},
		"too large":       {"coord-b", "wake", make([]byte, 64<<10), coord.ErrTooLarge},
		"far too large":   {"coord-b", "wake", make([]byte, 1<<20), coord.ErrTooLarge},
		"large in base64": {"coord-b", "wake", bytes.Repeat([]byte{0xff}, 50<<10), coord.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := a.Send(t.Context(), c.to, c.typ, c.payload); !errors.Is(err, c.want) {
				t.Errorf("Send: %v", err)
			}
			if _, err := a.Post(t.Context(), c.to, c.typ, c.payload); !errors.Is(err, c.want) {
				t.Errorf("Post: %v", err)
			}
		})
	}
	if _, err := openOn(t, memstore.New(), coord.Config{}).Join(t.Context(), "a b"); !errors.Is(err, coord.ErrInvalidID) {
		t.Error(err)
	}
}

// TestTooLargeAResultIsARejection: the sender learns of it, and the receiver goes on.
func TestTooLargeAResultIsARejection(t *testing.T) {
	in(t, func(t *testing.T) {
		a, b := pair(t, coord.Config{})
		stop := must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return make([]byte, 1<<20), nil }))
		defer stop()
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil); !errors.Is(err, coord.ErrRejected) {
			t.Error(err)
		}
	})
}

// TestAfterLeaveAndClose: everything returns ErrClosed, and what was blocked returns too.
func TestAfterLeaveAndClose(t *testing.T) {
	for name, end := range map[string]func(*coord.Client, *coord.Coordinator) error{
		"leave": func(_ *coord.Client, a *coord.Coordinator) error { return a.Leave(context.Background()) },
		"close": func(c *coord.Client, _ *coord.Coordinator) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				c := openOn(t, memstore.New(), coord.Config{})
				a := must(c.Join(t.Context(), "coord-a"))
				r, sent := waiting(t.Context(), a), make(chan error, 1)
				go func() { _, err := a.Send(t.Context(), "nobody", "wake", nil); sent <- err }()
				synctest.Wait()
				if err := errors.Join(end(c, a), end(c, a)); err != nil {
					t.Error(err)
				}
				_, posted := a.Post(t.Context(), "coord-b", "wake", nil)
				_, waited := a.Wait(t.Context())
				for what, err := range map[string]error{
					"blocked wait": (<-r).err, "blocked send": <-sent, "post": posted, "wait": waited,
					"serve": a.Serve(t.Context(), echo), "context": context.Cause(a.Context()),
				} {
					if !errors.Is(err, coord.ErrClosed) {
						t.Errorf("%s: %v", what, err)
					}
				}
				if _, ok := a.TryWait(t.Context()); ok {
					t.Error("TryWait found something")
				}
			})
		})
	}
}

func TestJoinAfterClose(t *testing.T) {
	c := openOn(t, memstore.New(), coord.Config{})
	_ = c.Close()
	if _, err := c.Join(t.Context(), "coord-a"); !errors.Is(err, coord.ErrClosed) {
		t.Error(err)
	}
}

// TestTheHandedOverIsAcknowledgedByLeaveAndClose: who leaves at once after a Wait owes no ACK.
func TestTheHandedOverIsAcknowledgedByLeaveAndClose(t *testing.T) {
	for name, end := range map[string]func(*coord.Client, *coord.Coordinator) error{
		"leave": func(_ *coord.Client, b *coord.Coordinator) error { return b.Leave(context.Background()) },
		"close": func(c *coord.Client, _ *coord.Coordinator) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			st := memstore.New()
			a := joinOn(t, st, "coord-a", coord.Config{})
			for range 200 {
				c := openOn(t, st, coord.Config{})
				b := must(c.Join(t.Context(), "coord-b"))
				sent := make(chan error, 1)
				go func() {
					_, err := a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(500*time.Millisecond))
					sent <- err
				}()
				must(b.Wait(t.Context()))
				if err := end(c, b); err != nil {
					t.Fatal(err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestJoiningTwiceFencesTheFirst: the old incarnation learns of it at the next addressed signal.
func TestJoiningTwiceFencesTheFirst(t *testing.T) {
	in(t, func(t *testing.T) {
		st, seen := memstore.New(), &record{}
		a := joinOn(t, st, "coord-a", coord.Config{})
		c := openOn(t, st, coord.Config{Observer: seen})
		first, second := must(c.Join(t.Context(), "coord-b")), must(c.Join(t.Context(), "coord-b"))
		if first.Incarnation() != 1 || second.Incarnation() != 2 {
			t.Errorf("%d, %d", first.Incarnation(), second.Incarnation())
		}
		r := waiting(t.Context(), second)
		synctest.Wait()
		must(a.Send(t.Context(), "coord-b", "wake", nil)) // tells the sender of the second
		if r := <-r; r.err != nil {
			t.Fatal(r.err)
		}
		old := waiting(t.Context(), first)
		r = waiting(t.Context(), second)
		synctest.Wait()
		must(a.Send(t.Context(), "coord-b", "wake", nil))
		if r := <-r; r.err != nil {
			t.Error(r.err)
		}
		if old := <-old; !errors.Is(old.err, coord.ErrFenced) {
			t.Error(old.err)
		}
		_, err := first.Send(t.Context(), "coord-a", "wake", nil)
		if !errors.Is(err, coord.ErrFenced) || len(of[coord.Fenced](seen)) != 1 {
			t.Errorf("%v, %v", err, of[coord.Fenced](seen))
		}
	})
}
