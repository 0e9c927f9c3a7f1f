package metrics

import (
	"context"
	"errors"
	"slices"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// The closed sets of label values. Every one of them is exported from the start, with 0: a rate over a series that
// appears with its first event misses that event.
var (
	outcomes   = []string{"signal", "timeout", "cancelled", "fenced", "closed"}
	operations = []string{"wait", "send"}
	states     = []string{"closed", "half-open", "open"}
	results    = []string{"ok", "failed"}
	refusals   = []string{
		"malformed", "unsigned", "unknown-key", "forged", "misrouted", "stale", "future", "too-large", "other",
	}
	failures = []string{"timeout", "cancelled", "fenced", "closed", "full", "unavailable", "store", reasonRefused}
)

const reasonRefused = "refused"

// refusal is reason, where it is of the closed set.
func refusal(reason string) string {
	if slices.Contains(refusals, reason) {
		return reason
	}
	return "other"
}

// failure is the one word for why a signal was not delivered. A timeout during which the store failed is unavailable: that
// is where to look. A Send that ended for any other reason than the store's was cancelled, whatever cause its caller named.
func failure(err error) string {
	switch {
	case errors.Is(err, coord.ErrFenced):
		return "fenced"
	case errors.Is(err, coord.ErrClosed):
		return "closed"
	case errors.Is(err, coord.ErrMailboxFull):
		return "full"
	case errors.Is(err, coord.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, coord.ErrTimeout):
		return "timeout"
	case !store.Permanent(err) && cancelled(err):
		return "cancelled"
	}
	return "store"
}

func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

func cancelled(err error) bool {
	return errors.Is(err, coord.ErrNoAck) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
