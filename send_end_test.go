package coord_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
)

// beforeRandom calls f before the next random bytes are read: a Send draws its signal's id after it has looked whether its
// coordinator may act.
type beforeRandom struct {
	io.Reader
	f func()
}

func (r *beforeRandom) Read(p []byte) (int, error) {
	if f := r.f; f != nil {
		r.f = nil
		f()
	}
	return r.Reader.Read(p)
}

// TestSendOvertakenByTheEnd: a signal that is composed when its coordinator has ended just now is not sent: nobody polls
// for its ACK any more, and nothing would end the Send before its timeout.
func TestSendOvertakenByTheEnd(t *testing.T) {
	for name, send := range map[string]func(*coord.Coordinator) error{
		"Send": func(a *coord.Coordinator) error {
			_, err := a.Send(context.Background(), "coord-b", "wake", nil)
			return err
		},
		"Post": func(a *coord.Coordinator) error {
			_, err := a.Post(context.Background(), "coord-b", "wake", nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				a, b := pair(t, coord.Config{})
				synctest.Wait()
				real := rand.Reader
				defer func() { rand.Reader = real }()
				rand.Reader = &beforeRandom{real, func() { _ = a.Leave(context.Background()) }}
				began := time.Now()
				if err := send(a); !errors.Is(err, coord.ErrClosed) || time.Since(began) != 0 {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if s, ok := b.TryWait(t.Context()); ok {
					t.Errorf("it was sent all the same: %+v", s)
				}
			})
		})
	}
}
