package coord_test

import (
	"testing"

	"github.com/blocking-coordination/coord"
)

// TestObserversSkipNil: an observer that is not there, as Config.Observer need not be.
func TestObserversSkipNil(t *testing.T) {
	seen := &record{}
	coord.Observers(nil, seen, nil).Observe(coord.StoreRestored{})
	if len(of[coord.StoreRestored](seen)) != 1 {
		t.Errorf("told: %v", seen.events)
	}
}
