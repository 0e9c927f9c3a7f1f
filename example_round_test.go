package coord_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// A product owner waits for all validators, gets what there is, and decides once.
func ExampleGather() {
	ctx := context.Background()
	c, _ := coord.Open(memstore.New(), coord.Config{Secret: secret})
	defer c.Close()
	type task struct{ Lines int }
	type review struct{ Confidence float64 }
	for id, limit := range map[string]int{"v1": 1000, "v2": 100} {
		v, _ := c.Join(ctx, id)
		_, _ = v.Handle(coord.Answer(func(_ context.Context, q task, _ *coord.Signal) (review, error) {
			if q.Lines > limit {
				return review{}, errors.New("too long for me")
			}
			return review{Confidence: 0.9}, nil
		}))
	}

	po, _ := c.Join(ctx, "po")
	r, err := coord.Gather[review](ctx, po, "sprint-1", task{Lines: 300}, coord.To("v1", "v2"), coord.Within(time.Minute))
	for id, answer := range r.Answers() {
		fmt.Println(id, answer.Confidence)
	}
	for _, m := range r.Missing() {
		fmt.Println(m.ID, m.State, m.Reason)
	}
	fmt.Println(errors.Is(err, coord.ErrIncomplete))

	// Whoever asks again, after a crash perhaps, gets the same answers, and the decision that was taken.
	for _, outcome := range []string{"DEFER", "PROCEED"} {
		r, _ = coord.Gather[review](ctx, po, "sprint-1", task{Lines: 300}, coord.To("v1", "v2"))
		d, _ := r.Decide(ctx, outcome, "one validator is missing")
		fmt.Println(d.Outcome, d.Mine)
	}
	// Output:
	// v1 0.9
	// v2 rejected too long for me
	// true
	// DEFER true
	// DEFER false
}
