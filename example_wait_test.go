package coord_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// On the fake clock an hour is over at once: a program can rehearse its timeouts.
func ExampleCoordinator_Wait() {
	ctx := context.Background()
	clock := memstore.NewFakeClock(time.Time{})
	waits := make(chan coord.Event, 1)
	c, _ := coord.Open(memstore.New(memstore.WithClock(clock)), coord.Config{
		Secret: secret,
		Observer: coord.ObserverFunc(func(e coord.Event) {
			if e, ok := e.(coord.WaitEnded); ok {
				waits <- e
			}
		}),
	})
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")

	idle := clock.Pending()
	result := make(chan error)
	go func() {
		_, err := a.Wait(ctx, coord.Within(time.Hour))
		result <- err
	}()
	for clock.Pending() < idle+2 { // until it has its timer, and the poll too
	}
	clock.Advance(time.Hour)
	fmt.Println((<-waits).(coord.WaitEnded).Blocked)
	fmt.Println(errors.Is(<-result, coord.ErrTimeout))
	// Output:
	// 1h0m0s
	// true
}

// TryWait returns what is there now.
func ExampleCoordinator_TryWait() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")
	b, _ := c.Join(ctx, "coord-b")

	_, ok := b.TryWait(ctx)
	fmt.Println(ok)
	_, _ = a.Post(ctx, "coord-b", "wake", nil)
	_, ok = b.TryWait(ctx, coord.OfType("other"))
	fmt.Println(ok)
	s, ok := b.TryWait(ctx, coord.OfType("wake"))
	fmt.Println(s.Type, ok)
	// Output:
	// false
	// false
	// wake true
}
