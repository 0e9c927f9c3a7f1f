package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// A day passes in no time.
func ExampleNew() {
	ctx := context.Background()
	clock := memstore.NewFakeClock(time.Time{})
	s := memstore.New(memstore.WithClock(clock))

	_ = s.SetEX(ctx, "heartbeat", []byte("alive"), 90*time.Second)
	clock.Advance(89 * time.Second)
	value, _ := s.Get(ctx, "heartbeat")
	fmt.Printf("after 89 s: %s\n", value)

	clock.Advance(24 * time.Hour)
	_, err := s.Get(ctx, "heartbeat")
	fmt.Println("after a day:", errors.Is(err, store.ErrNotFound))
	// Output:
	// after 89 s: alive
	// after a day: true
}

// Callbacks run inside Advance, each at its own time.
func ExampleFakeClock() {
	clock := memstore.NewFakeClock(time.Time{})
	start := clock.Now()
	for _, d := range []time.Duration{3 * time.Minute, time.Minute} {
		clock.AfterFunc(d, func() { fmt.Println(d, "is up at", clock.Now().Sub(start)) })
	}
	clock.Advance(10 * time.Minute)
	fmt.Println("now", clock.Now().Sub(start))
	// Output:
	// 1m0s is up at 1m0s
	// 3m0s is up at 3m0s
	// now 10m0s
}

// The ticket and the entry come in one step, and the hint brings both to whoever listens.
func ExampleStore_Append() {
	ctx := context.Background()
	s := memstore.New()
	cancel := s.Subscribe("mailbox", func(payload []byte) { fmt.Printf("hint %q\n", payload) })
	defer cancel()

	n, _ := s.Append(ctx, store.Append{
		Tail: "tail", TailTTL: time.Hour, Entry: "entry:", Value: []byte("COMPLETE"), TTL: time.Hour, Channel: "mailbox",
	})
	value, _ := s.Get(ctx, "entry:1")
	fmt.Printf("%d %s\n", n, value)
	// Output:
	// hint ""
	// hint "1 COMPLETE"
	// 1 COMPLETE
}
