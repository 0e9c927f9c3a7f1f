package coord_test

import (
	"errors"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestJoinedBeforeLeft: whoever counts those who are there must not be told of an end before its beginning, even where
// Close meets Join.
func TestJoinedBeforeLeft(t *testing.T) {
	in(t, func(t *testing.T) {
		var order []string
		var c *coord.Client
		c = openOn(t, memstore.New(), coord.Config{Observer: coord.ObserverFunc(func(e coord.Event) {
			switch e.(type) {
			case coord.Joined:
				go func() { _ = c.Close() }()
				time.Sleep(time.Minute) // Close has had all the time that it takes
				order = append(order, "joined")
			case coord.Left:
				order = append(order, "left")
			}
		})})
		if _, err := c.Join(t.Context(), "coord-a"); !errors.Is(err, coord.ErrClosed) {
			t.Error(err)
		}
		if len(order) != 2 || order[0] != "joined" {
			t.Errorf("told: %v", order)
		}
	})
}
