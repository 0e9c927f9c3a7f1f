package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func ExampleWrap() {
	ctx := context.Background()
	st := breaker.Wrap(memstore.New())

	fmt.Println(st.SetEX(ctx, "greeting", []byte("hello"), time.Hour))
	value, err := st.Get(ctx, "greeting")
	fmt.Printf("%s %v\n", value, err)
	_, err = st.Get(ctx, "nobody")
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	// <nil>
	// hello <nil>
	// true
}

// unplugged is a store that nobody reaches.
type unplugged struct{ store.Store }

func (unplugged) Incr(context.Context, string) (int64, error) {
	return 0, errors.New("cable unplugged")
}

func ExampleBreaker_Capabilities() {
	st := breaker.Wrap(unplugged{memstore.New()}, breaker.Delays(time.Millisecond, time.Millisecond), breaker.Retries(1),
		breaker.FailureThreshold(2), breaker.OpenTime(time.Hour))
	cancel := st.Capabilities().Notices.Notify(func(n store.Notice) {
		switch n.Kind {
		case store.NoticeRetry:
			fmt.Printf("%v: retrying in %v (attempt %d)\n", n.Err, n.Delay, n.Attempt)
		case store.NoticeOpen:
			fmt.Println("giving up for now")
		}
	})
	defer cancel()

	_, err := st.Incr(context.Background(), "visits")
	fmt.Println(errors.Is(err, store.ErrUnavailable))
	// Output:
	// cable unplugged: retrying in 1ms (attempt 1)
	// giving up for now
	// true
}

func ExampleBreaker_Once() {
	st := breaker.Wrap(unplugged{memstore.New()})
	_, err := st.Once().Incr(context.Background(), "beats") // no retry, and nobody is held up by it
	fmt.Println(err)
	// Output:
	// cable unplugged
}
