package coord_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// Every join of an id is a new incarnation of it. What its predecessors have not acknowledged waits for it.
func ExampleClient_Join() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()

	first, _ := c.Join(ctx, "coord-a")
	fmt.Println(first.ID(), first.Incarnation())
	_ = first.Leave(ctx)
	_, err := first.Wait(ctx)
	fmt.Println(errors.Is(err, coord.ErrClosed))

	second, _ := c.Join(ctx, "coord-a")
	fmt.Println(second.ID(), second.Incarnation())
	_, err = c.Join(ctx, "not an id")
	fmt.Println(errors.Is(err, coord.ErrInvalidID))
	// Output:
	// coord-a 1
	// true
	// coord-a 2
	// true
}
