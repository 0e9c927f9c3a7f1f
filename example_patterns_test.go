package coord_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// A barrier: nobody passes before everybody has arrived. Whoever arrives serves the question of the one who opens it,
// and is told to go on.
func ExampleGather_barrier() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	runners := []string{"runner-1", "runner-2", "runner-3"}
	var passed sync.WaitGroup
	for _, id := range runners {
		passed.Go(func() {
			a, _ := c.Join(ctx, id)
			if _, err := a.Wait(ctx, coord.OfType("question")); err != nil { // it has arrived
				panic(err)
			}
			if _, err := a.Wait(ctx, coord.OfType("go")); err != nil {
				panic(err)
			}
		})
	}

	gate, _ := c.Join(ctx, "gate")
	_, err := coord.Gather[arrival](ctx, gate, "start", "are you there?", coord.To(runners...), coord.Encoding(nothing{}))
	fmt.Println("all are there:", err == nil)
	_, err = gate.PostAll(ctx, runners, "go", nil)
	passed.Wait()
	fmt.Println("all have passed:", err == nil)
	// Output:
	// all are there: true
	// all have passed: true
}

type arrival struct{}

// nothing is a codec for questions and answers that say nothing.
type nothing struct{}

func (nothing) Marshal(any) ([]byte, error) { return nil, nil }
func (nothing) Unmarshal([]byte, any) error { return nil }

// A leader with a fencing token: a unit of work that everybody wants. Whoever owns it leads; when it leaves or dies, an
// heir leads with a higher token, and what the old leader still writes is refused.
func ExampleTask_leader() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	var guarded register
	led := make(chan string)
	lead := func(a *coord.Coordinator, t *coord.Task) {
		led <- fmt.Sprint(a.ID(), " leads, token ", t.Epoch(), ": ", guarded.write(t.Epoch()))
	}
	first, _ := c.Join(ctx, "node-1")
	second, _ := c.Join(ctx, "node-2")
	_ = second.OnTakeOver(func(_ context.Context, t *coord.Task) error { lead(second, t); return nil })

	term, _ := first.Accept(ctx, coord.Work{ID: "leader"})
	go lead(first, term)
	fmt.Println(<-led)
	_, err := second.Accept(ctx, coord.Work{ID: "leader"})
	fmt.Println("node-2:", errors.Is(err, coord.ErrTaken))

	_ = first.Leave(ctx) // or it dies, and a Monitor hands over
	fmt.Println(<-led)
	fmt.Println("the old leader:", guarded.write(term.Epoch()))
	// Output:
	// node-1 leads, token 1: written
	// node-2: true
	// node-2 leads, token 2: written
	// the old leader: refused
}

// register is something in the outside world that knows the highest token it has seen.
type register struct {
	mu      sync.Mutex
	highest int64
}

func (r *register) write(token int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token < r.highest {
		return "refused"
	}
	r.highest = token
	return "written"
}
