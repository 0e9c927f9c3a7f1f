package coord

import (
	"errors"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// Errors for errors.Is. An error may match several: a Wait that timed out because the store never answered is
// ErrTimeout and ErrUnavailable.
var (
	// ErrTimeout: the time given to Wait or Send is over. Nothing was consumed.
	ErrTimeout = errors.New("timeout")
	// ErrNoAck: Send ended before the acknowledgement came. The signal stays in the receiver's mailbox and may still be
	// handed over.
	ErrNoAck = errors.New("no acknowledgement")
	// ErrRejected: the receiver took the signal and its handler refused it.
	ErrRejected = errors.New("rejected by the receiver")
	// ErrFenced: this incarnation was declared dead or was superseded (join again for a new one), or another owns the
	// unit of work by now.
	ErrFenced = work.ErrFenced
	// ErrTaken: the unit of work has another owner, or is done.
	ErrTaken = errors.New("taken")
	// ErrNoHeir: there is nobody to give a unit of work to.
	ErrNoHeir = work.ErrNoHeir
	// ErrDone: the unit of work is done; this call has not done it.
	ErrDone = work.ErrDone
	// ErrSuspended: no heartbeat has reached the store for a TTL less two Beats, so others may soon believe that we are dead.
	ErrSuspended = errors.New("suspended: no heartbeat has reached the store for nearly a whole TTL")
	// ErrMailboxFull: the receiver has not acknowledged Config.MailboxLimit signals of this sender.
	ErrMailboxFull = errors.New("mailbox full")
	// ErrInvalidConfig: a Config that contradicts itself.
	ErrInvalidConfig = errors.New("invalid config")
	// ErrIncomplete: a Gather ended before there were enough answers. The Round has what there is.
	ErrIncomplete = round.ErrIncomplete
	// ErrOtherQuestion: a round was used before for another question.
	ErrOtherQuestion = round.ErrOtherQuestion
	// ErrClosed: the Client was closed, or the Coordinator has left.
	ErrClosed = errors.New("closed")
	// ErrLater is what a handler returns for a signal that it cannot handle yet: it is not acknowledged and is delivered
	// again after Config.Poll.
	ErrLater = errors.New("deliver again later")

	// ErrUnavailable: the store cannot be reached for now. The outcome of a Post is unknown.
	ErrUnavailable = store.ErrUnavailable
	// ErrTooLarge: a signal or a result of its handler of more than 64 KiB, signature and all; or a unit's payload,
	// checkpoint or result of more than 1 MiB. Nothing was written.
	ErrTooLarge = envelope.ErrTooLarge
	// ErrInvalidID: an id or a type that does not match [A-Za-z0-9][A-Za-z0-9._-]{0,127}.
	ErrInvalidID = keys.ErrInvalidID
	// ErrStoreRegressed: the store lost acknowledged writes or is another one than before. It is reported to the
	// Observer; everything is read and registered again, and un-acknowledged signals are posted again.
	ErrStoreRegressed = ticketlog.ErrRegressed
)
