package roundtest

import (
	"context"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// mutant is one step left out or done wrong: as a broken view of the store, or as a broken runtime around the procedure.
// The zero value breaks nothing.
type mutant struct {
	asker  func(*scene, store.Store) store.Store // what its rounds see
	leaver func(*scene, store.Store) store.Store // what those see who leave
	turn   func(*gathering)                      // before a turn
	rename func(*gathering, *envelope.Signal)    // before a question is sent
	hear   func(*gathering, []byte)              // instead of gathering.hear
	cancel func(*gathering)                      // when it is given up
	decide func(ctx context.Context, desk *work.Desk, me work.Owner, name, outcome, reason, call string) (round.Outcome, bool, error)
}
