package mailbox_test

import (
	"encoding/json"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// mutant is one step left out, or one of the walkthrough's defects revived: as a broken view of the store, or as a
// broken runtime around the procedures.
type mutant struct {
	sender, receiver func(store.Store) store.Store
	give             func(*receiver, *mailbox.Delivery) // instead of receiver.give

	once     bool // a sender posts once
	hopeful  bool // a sender takes an unknown outcome for success
	renamed  bool // a sender posts again under another id
	unmarked bool // a sender does not say that it chose the id
	loose    bool // a sender believes any ACK of its own
	deaf     bool // a receiver does not see what came before it
	hasty    bool // a joiner does not wait
	trusting bool // a joiner believes the cursor of another generation
	never    bool // a receiver does not write an ACK again
	sloppy   bool // a receiver takes an ACK for confirmed
}

func (s *sender) renamed(p *post) *post { return p }

func (s *sender) lookLoosely(p *post) {
	data, err := s.post.Store.Get(ctx, space.Ack(p.signal.Sender, p.signal.ID))
	var ack struct{ SignalID, Session string }
	if err == nil && json.Unmarshal(data, &ack) == nil {
		s.scene.acknowledged(p, &envelope.Ack{SignalID: ack.SignalID, Session: ack.Session})
	}
}

func (r *receiver) deafen() {}

func (r *receiver) hastily(now func() time.Time) func() time.Time { return now }

func (r *receiver) cursorGeneration(g []byte) []byte { return g }
