package mailboxtest

import (
	"time"

	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// mutant is one step left out, or one of the walkthrough's defects revived: as a broken view of the store, or as a
// broken runtime around the procedures. The zero value breaks nothing.
type mutant struct {
	sender, receiver func(store.Store) store.Store

	give   func(*receiver, *mailbox.Delivery)                 // instead of receiver.give
	join   func(*receiver)                                    // before a receiver joins
	clock  func(*receiver, func() time.Time) func() time.Time // a receiver's
	heard  func(r *receiver, hint []byte)                     // after a hint was taken
	cursor func(*scene) []byte                                // instead of a receiver's cursor
	look   func(*sender, *post)                               // instead of sender.look

	once     bool // a sender posts once
	hopeful  bool // a sender takes an unknown outcome for success
	renamed  bool // a sender posts again under another id
	unmarked bool // a sender does not say that it chose the id
	never    bool // a receiver does not write an ACK again
	sloppy   bool // a receiver takes an ACK for confirmed
	greedy   bool // a receiver deletes a double whose first is not acknowledged
}
