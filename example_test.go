package coord_test

import (
	"context"
	"fmt"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// One process, two coordinators: one sends and blocks, the other waits.
func Example() {
	ctx := context.Background()
	key := []byte("a secret of at least 32 bytes....") // from the environment or a file
	c, err := coord.Open(memstore.New(), coord.Config{Secret: key})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	a, _ := c.Join(ctx, "coord-a")
	b, _ := c.Join(ctx, "coord-b")

	done := make(chan struct{})
	go func() {
		defer close(done)
		s, err := b.Wait(ctx, coord.OfType("wake"), coord.From("coord-a"))
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s from %s: %s\n", s.Type, s.From, s.Payload)
	}()
	ack, err := a.Send(ctx, "coord-b", "wake", []byte("go on"))
	<-done
	fmt.Println("acknowledged by", ack.From, err)
	// Output:
	// wake from coord-a: go on
	// acknowledged by coord-b <nil>
}
