package coord_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// Serve answers: the result of the handler travels back in the acknowledgement, its error as a rejection.
func ExampleCoordinator_Serve() {
	ctx, cancel := context.WithCancel(context.Background())
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")
	b, _ := c.Join(ctx, "coord-b")

	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, func(_ context.Context, s *coord.Signal) ([]byte, error) {
			if s.Type != "upper" {
				return nil, errors.New("I can only do upper")
			}
			return []byte(strings.ToUpper(string(s.Payload))), nil
		}, coord.Workers(4))
	}()

	ack, err := a.Send(ctx, "coord-b", "upper", []byte("hello"))
	fmt.Println(string(ack.Result), err)
	_, err = a.Send(ctx, "coord-b", "lower", []byte("HELLO"))
	fmt.Println(errors.Is(err, coord.ErrRejected), err)
	cancel()
	fmt.Println(<-served)
	// Output:
	// HELLO <nil>
	// true coord-b: rejected by the receiver: I can only do upper
	// context canceled
}

// Send blocks until its own signal is acknowledged. Where no ACK comes in time, the signal stays in the mailbox.
func ExampleCoordinator_Send() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")

	_, err := a.Send(ctx, "coord-b", "wake", nil, coord.Within(0)) // nobody is there
	fmt.Println(errors.Is(err, coord.ErrNoAck), errors.Is(err, coord.ErrTimeout))
	// Output:
	// true true
}

// Post does not wait for anybody. The receiver finds the signals when it runs, in order.
func ExampleCoordinator_Post() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")
	for _, step := range []string{"first", "second"} {
		if _, err := a.Post(ctx, "coord-b", "step", []byte(step)); err != nil {
			panic(err)
		}
	}

	b, _ := c.Join(ctx, "coord-b") // later
	for range 2 {
		s, _ := b.Wait(ctx)
		fmt.Println(string(s.Payload))
	}
	// Output:
	// first
	// second
}
