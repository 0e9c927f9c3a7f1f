package round

import (
	"context"
	"encoding/json"

	"github.com/blocking-coordination/coord/internal/work"
)

// Outcome is the decision of a round.
type Outcome struct {
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason"`
	By          string `json:"by"` // the asker's id
	Incarnation int64  `json:"incarnation"`
}

// decided is what stands in the store.
type decided struct {
	V int `json:"v"`
	Outcome
	Call string `json:"call"` // different for each call, so that each knows its own
}

// Decide takes the decision of me's round, once (G5). It returns the one that was taken, and whether it is that of this
// very call. ErrFenced if me is decided dead.
func Decide(ctx context.Context, desk *work.Desk, me work.Owner, round, outcome, reason, call string) (Outcome, bool, error) {
	_, dead, err := desk.Dead(ctx, me)
	if err == nil && dead {
		err = work.ErrFenced
	}
	if err != nil {
		return Outcome{}, false, err
	}
	proposed, err := json.Marshal(decided{1, Outcome{outcome, reason, me.ID, me.Incarnation}, call})
	if err != nil {
		return Outcome{}, false, err
	}
	raw, mine, err := desk.Decide(ctx, desk.Space.Round(me.ID, round), desk.Times.Epoch, proposed)
	if err != nil {
		return Outcome{}, false, err
	}
	var d decided
	err = json.Unmarshal(raw, &d)
	return d.Outcome, mine, err
}
