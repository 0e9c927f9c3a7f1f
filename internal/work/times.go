package work

import (
	"fmt"
	"math"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

const day = 24 * time.Hour

// Times say how long each record lives after it was last written or refreshed. What is referred to outlives what refers
// to it by Freeze, so that nobody takes an expired decision for one that was never made.
type Times struct {
	Freeze  time.Duration // the longest that a process may stop and then go on; at least 7 days
	Refresh time.Duration // how often an owner calls List.Refresh and Held.Refresh; less than Freeze

	Intents    ticketlog.Times // of intent lists; Grace is without effect: holes stay open
	Epoch      agree.TTLs      // of the decisions on epochs: Epoch.Decision >= Intents.Entry + Freeze
	Unit       time.Duration   // of payloads: >= Epoch.Decision + Freeze
	Checkpoint time.Duration   // >= Intents.Entry + Freeze
	Progress   time.Duration   // of the counters of checkpoints: >= Checkpoint + Freeze
	Boards     ticketlog.Times // of the lists of units without an owner and of deadlines: Boards.Entry <= Unit - Freeze

	Member time.Duration // of an entry in the registry of members, which is not ours
	Death  agree.TTLs    // of deaths: Death.Decision >= Member + Freeze and >= Intents.Tail + Freeze; handled lives as long
}

// DefaultTimes assume that nobody is frozen for more than a week.
var DefaultTimes = Times{
	Freeze:     7 * day,
	Refresh:    day,
	Intents:    ticketlog.Times{Entry: 15 * day, Tail: 22 * day, Skip: time.Minute, Grace: math.MaxInt64},
	Epoch:      agree.TTLs{Decision: 30 * day, Vote: 8 * day, Counter: 7 * day},
	Unit:       37 * day,
	Checkpoint: 30 * day,
	Progress:   37 * day,
	Boards:     ticketlog.Times{Entry: 30 * day, Tail: 37 * day, Skip: time.Minute, Grace: 2 * time.Second},
	Member:     30 * day,
	Death:      agree.TTLs{Decision: 60 * day, Vote: 8 * day, Counter: 7 * day},
}

// Validate returns an error that wraps ErrInvalidTimes unless t is ordered as its fields demand.
func (t Times) Validate() error {
	for _, rule := range []struct {
		what      string
		long, low time.Duration
	}{
		{"Freeze >= 7 d", t.Freeze, agree.MinTTL},
		{"Refresh < Freeze", t.Freeze - 1, t.Refresh},
		{"Refresh > 0", t.Refresh, 1},
		{"Intents.Entry >= 2 Freeze", t.Intents.Entry, 2 * t.Freeze},
		{"Intents.Tail >= Intents.Entry + Freeze", t.Intents.Tail, t.Intents.Entry + t.Freeze},
		{"Epoch.Decision >= Intents.Entry + Freeze", t.Epoch.Decision, t.Intents.Entry + t.Freeze},
		{"Epoch.Counter >= Freeze", t.Epoch.Counter, t.Freeze},
		{"Unit >= Epoch.Decision + Freeze", t.Unit, t.Epoch.Decision + t.Freeze},
		{"Checkpoint >= Intents.Entry + Freeze", t.Checkpoint, t.Intents.Entry + t.Freeze},
		{"Progress >= Checkpoint + Freeze", t.Progress, t.Checkpoint + t.Freeze},
		{"Unit >= Boards.Entry + Freeze", t.Unit, t.Boards.Entry + t.Freeze},
		{"Boards.Tail >= Boards.Entry", t.Boards.Tail, t.Boards.Entry},
		{"Death.Decision >= Member + Freeze", t.Death.Decision, t.Member + t.Freeze},
		{"Death.Decision >= Intents.Tail + Freeze", t.Death.Decision, t.Intents.Tail + t.Freeze},
		{"Death.Counter >= Freeze", t.Death.Counter, t.Freeze},
	} {
		if rule.long < rule.low {
			return fmt.Errorf("%w: %s does not hold", ErrInvalidTimes, rule.what)
		}
	}
	return nil
}

// intents are the times of intent lists, whose holes nobody closes: an entry that comes late is still taken.
func (t Times) intents() ticketlog.Times {
	log := t.Intents
	log.Grace = math.MaxInt64
	return log
}
