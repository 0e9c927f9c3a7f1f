// Command decision is the loop of a Product Owner: gather what the validators think, and PROCEED where they are confident
// enough, DEFER to another attempt where they are not, ESCALATE when the attempts are used up. Everything is in memory.
//
//	go run ./examples/decision
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

const (
	threshold = 0.8 // the confidence that it takes
	attempts  = 3
)

// Draft is the question and Opinion the answer.
type (
	Draft struct {
		Feature string
		Attempt int
	}
	Opinion struct{ Confidence float64 }
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "decision:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	c, err := coord.Open(memstore.New(), coord.Config{Secret: []byte("known to everybody in this process only")})
	if err != nil {
		return err
	}
	defer c.Close()
	validators := map[string]float64{"security": 0.5, "style": 0.9, "tests": 0.6}
	for id, first := range validators {
		if err := validator(ctx, c, id, first); err != nil {
			return err
		}
	}
	po, err := c.Join(ctx, "product-owner")
	if err != nil {
		return err
	}
	for _, feature := range []string{"login", "rewrite"} {
		if err := loop(ctx, po, feature, out); err != nil {
			return err
		}
	}
	return nil
}

// validator is more confident with every attempt, unless everything is to be written anew.
func validator(ctx context.Context, c *coord.Client, id string, first float64) error {
	v, err := c.Join(ctx, id)
	if err != nil {
		return err
	}
	_, err = v.Handle(coord.Answer(func(_ context.Context, d Draft, _ *coord.Signal) (Opinion, error) {
		if d.Feature == "rewrite" && id == "tests" {
			return Opinion{}, errors.New("there are none")
		}
		return Opinion{min(1, first+0.2*float64(d.Attempt-1))}, nil
	}))
	return err
}

// loop asks until there is something else to decide than DEFER.
func loop(ctx context.Context, po *coord.Coordinator, feature string, out io.Writer) error {
	for attempt := 1; ; attempt++ {
		round := fmt.Sprintf("%s-%d", feature, attempt) // a restarted Product Owner finds the same rounds again
		r, err := coord.Gather[Opinion](ctx, po, round, Draft{feature, attempt},
			coord.To("security", "style", "tests"), coord.Within(time.Minute))
		if err != nil && !errors.Is(err, coord.ErrIncomplete) {
			return err
		}
		outcome, reason := judge(r, attempt)
		d, err := r.Decide(ctx, outcome, reason)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s (%s)\n", round, d.Outcome, d.Reason)
		if d.Outcome != "DEFER" {
			return nil
		}
	}
}

// judge goes by the least confident, and defers where somebody is missing.
func judge(r *coord.Round[Opinion], attempt int) (outcome, reason string) {
	least := 1.0
	for _, o := range r.Answers() {
		least = min(least, o.Confidence)
	}
	reason = fmt.Sprintf("confidence %.1f", least)
	for _, m := range r.Missing() {
		least, reason = 0, fmt.Sprintf("%s %s: %s", m.ID, m.State, m.Reason)
	}
	switch {
	case least >= threshold:
		return "PROCEED", reason
	case attempt < attempts:
		return "DEFER", reason
	}
	return "ESCALATE", reason
}
