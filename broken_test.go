package coord_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// TestS7AKeyOfAnotherType: where a list or a hash stands instead of a record, whatever is behind it comes all the same.
func TestS7AKeyOfAnotherType(t *testing.T) {
	for name, key := range map[string]string{
		"a signal before it":    "blocking:mailbox:{coord-b}:entry:1",
		"its own ACK":           "blocking:ack:{coord-a}:",
		"a flag of the log":     "blocking:mailbox:{coord-b}:skip:2",
		"somebody else's entry": "blocking:{members}:entry:1",
		"the cursor":            "blocking:cursor:{coord-b}",
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				broken := false
				st := &hooked{newUnsteady(), func(_ context.Context, op string) error {
					if broken && strings.HasPrefix(op, "get "+key) {
						return store.ErrWrongType
					}
					return nil
				}}
				a := joinOn(t, st, "coord-a", coord.Config{})
				must(a.Post(t.Context(), "coord-b", "first", nil))
				must(a.Post(t.Context(), "coord-b", "second", nil))
				broken = true
				b := joinOn(t, st, "coord-b", coord.Config{})
				if s, err := b.Wait(t.Context(), coord.OfType("second"), coord.Within(time.Minute)); err != nil || s.Type != "second" {
					t.Errorf("%v, %v", s, err)
				}
			})
		})
	}
}
