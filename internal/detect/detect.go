// Package detect finds the dead: silence, warnings, one decision, as straight lines over a store.
//
//	w := &detect.Watch{Store: s, Space: space, Ring: ring, Policy: policy, Times: times, Now: clock.Now,
//		Decide: decideDead, Dead: isDead}
//	for range ticks { // every Policy.Check
//		report, err := w.Check(ctx)
//		for _, f := range report.Findings { ... }
//	}
//
// # Silence
//
// Silence is time on the monitor's own monotonic clock since the monitor itself saw (incarnation, seq) rise above the
// highest that it ever saw. An old beat that is written again is no life, neither is one that does not verify; the time
// that a beat claims is never looked at (D7).
//
// The session of a beat is not looked at. It would tell two lives of one number apart, but then beats that somebody kept
// from before a loss could be written again one by one, and hide a death from all who never saw them. What tells is the
// generation of the store's data: it is read before all else, and when it is another one the watch begins anew.
//
// Silence grows from one good look to the next only. It stands still across a look that failed, and across a gap between
// two looks of more than two Checks: a monitor that stalled or could not reach the store accuses nobody (D2).
//
// A heartbeat that is absent when a monitor sees its owner for the first time proves a silence of one TTL, for a beat
// would have stood for so long. It proves nothing about somebody who registered while the monitor watched, or after the
// store had lost its data; and it never proves so much that not one Beat and one Check would be left before the first
// warning, for the store may have lost its data before the monitor began.
//
// # Warnings
//
// The k-th warning is a fact with a name, warning:<id>:<incarnation>:<seq>:<k>: N monitors that write it write the same,
// and a new beat voids it, because nobody asks for that name again (R7, D3). It is written only by a monitor that counts
// a silence of at least Stale, for k > 1 only after that monitor saw warning k-1 stand for Spacing, and only where it
// does not stand already. When all stand at once, the monitor decides.
//
// A monitor that never heard somebody warns about beat 0; one that was away for longer than a TTL may have missed a beat.
// The warnings that they find may be of an earlier silence, which a beat ended that they did not see. So they count each
// only when they would have written it themselves.
//
// # Time
//
// Silence counts from when an answer came to when the next question is sent, and spacing no further than silence, so that
// neither is overrated. A pass that took longer than two Checks accuses nobody any more: what it saw is old.
//
// The caller sees to it that a Check comes every Policy.Check: what takes long, such as handing over, belongs elsewhere.
package detect

import (
	"context"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// Watch is one monitor. It has one owner: its methods must not be called concurrently. Every exported field but Handled,
// Refused and Name must be set before the first Check and not changed after it.
type Watch struct {
	Store  store.Store // one attempt for each operation: no retries, no gate
	Space  keys.Space
	Ring   *envelope.Ring
	Policy Policy
	Times  ticketlog.Times  // of the registry, as its writers use them
	Now    func() time.Time // monotonic
	Name   string           // tells this monitor's warnings from those of others; different for each, or empty

	// Few is how many heartbeats are read at every Check, in turn, whatever the store's late index says. 0 stands for as
	// many as fit one trip, which suits all but tests; a negative number for none.
	Few int

	// Decide proposes that an incarnation is dead, silent since its beat seq for at least silent. It returns nil once the
	// decision is visible, with mine for this monitor's own. agree.ErrAgain is no failure; any error is followed by
	// another attempt at a later Check, while the silence lasts.
	Decide func(ctx context.Context, id string, incarnation int64, seq uint64, silent time.Duration) (mine bool, err error)
	// Dead returns whether and why an incarnation is decided to be over. It is asked only where a decision seems to stand.
	Dead func(ctx context.Context, id string, incarnation int64) (decided bool, reason string, err error)
	// Handled returns whether everything was done about an incarnation that is over. It is asked only where the record
	// of that stands; nil trusts the record. known: this watch had looked at it before. While it returns false the end is
	// reported as Gone; once it has returned true the watch forgets that incarnation.
	Handled func(ctx context.Context, id string, incarnation int64, known bool) (bool, error)
	// Refused is told of a record that was stepped over; nil: nobody is.
	Refused func(err error)

	generation string // of the store's data; "": none was seen

	reader  ticketlog.Reader
	placed  bool      // the reader has a position
	caught  bool      // whoever is new has registered while I watched
	members []*member // ascending by id, then by incarnation
	round   []*member // who is looked at: the candidates, and those who are over
	index   index
}

// atOnce is how many keys are read in one trip.
const atOnce = 500

// Check is one pass: it reads the registry and the heartbeats of the living, or of those among them who are late where the
// store has an index of that, looks closer at the silent, writes the warnings that are due, and decides. Call it every
// Policy.Check. An error says what could not be read or written: what the report says is true nevertheless, and the next
// Check makes up for the rest.
func (w *Watch) Check(ctx context.Context) (Report, error) {
	p := &pass{Watch: w, ctx: ctx, began: w.Now()}
	p.recognise()
	p.enrol()
	p.listen()
	p.inquire()
	p.escalate()
	return Report{p.findings}, p.err()
}

// Regressed says that the store lost acknowledged writes, or all of them. The watch forgets whom it knew: whoever lives
// registers and beats again, perhaps under a lower incarnation, and is silent from then on at the earliest. A Check that
// notices the loss itself does the same, and returns ticketlog.ErrRegressed.
func (w *Watch) Regressed() {
	if w.placed {
		w.reader.Recheck()
	}
	w.forgetEverybody()
}

// forgetEverybody: also the dead, or they would hide or be those who join again under a lower number or the same. A
// decision that survived is found again before anybody is accused.
func (w *Watch) forgetEverybody() {
	w.caught = true
	w.members, w.round = nil, nil
	w.index = index{pass: w.index.pass + 1}
}

// proven is the silence that an absent heartbeat proves.
func (w *Watch) proven() time.Duration {
	return max(0, min(w.Policy.TTL, w.Policy.Stale-w.Policy.Beat-w.Policy.Check))
}
