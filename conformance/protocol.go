package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect/detecttest"
	"github.com/blocking-coordination/coord/internal/mailbox/mailboxtest"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/round/roundtest"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work/worktest"
	"github.com/blocking-coordination/coord/store"
)

// RunProtocol plays the protocol itself on the driver that open opens: senders and receivers, owners and their heirs,
// monitors, who stall and crash and whose operations fail, or seem to, or happen later, while time passes by
// Instance.Advance alone. It holds the invariants of signals (S), of deaths (D), of work (X) and of rounds (G), and,
// where the driver shares its clock (store.Capabilities.Clock), those of waits (W).
//
// The checks of waits play in a bubble of package testing/synctest: every goroutine that the driver begins must come to
// block there on a channel, a timer or the like, as those of a store in memory do. One that reads from a socket never does;
// a driver that shares its clock and has one fails these checks after half a minute, and the failure says so.
//
// Each trial is a subtest, which opens an instance and empties it below KeyPrefix before every run. It plays some thirty
// runs with the driver's batches, appends and late index, where it has any, and as many with every capability hidden. All
// in all that takes a few seconds on a store in memory, and less than a minute on a server over loopback.
//
// A failure names the invariant and why it matters, and shows a short run that violates it, line by line: the time, the
// actor, the operation and the result. Its last line is the command that plays the run once more, by its seed, in the
// directory of the test (rapid, which draws some runs beside those, prints a line of its own); that is the same run as far
// as the driver answers as it did. These flags of the test binary say how much is played:
//
//	-coord.seed=N   one seed of each trial, which is shown where -v is given
//	-coord.steps=N  each trial until it took N steps
//	-coord.long     a hundred times as many seeds
//
// Under the race detector a twentieth of the runs is played, at least one seed of each trial: it is slow, and the runs
// have one goroutine at a time anyway.
//
// Prove the driver with Run first: a rule is easier to read than a run.
func RunProtocol(t *testing.T, open func(testing.TB) Instance) {
	t.Helper()
	for _, tr := range trials() {
		t.Run(tr.Name, func(t *testing.T) {
			instance := opened(t, open)
			for _, w := range ways(instance.Store) {
				tr.Name = w.name
				var told string
				proof.Hold(t, func(tb testing.TB) func() sim.Ground {
					return (&field{TB: tb, way: w, open: open, instance: instance, told: &told}).ground
				}, amount(), explained(tr, &told))
			}
		})
	}
	playWaits(t, open)
}

func trials() []proof.Trial {
	return slices.Concat(mailboxtest.Trials(), detecttest.Trials(), worktest.Trials(), roundtest.Trials())
}

// amount is little, for a run on a server takes thirty times as long as one in memory.
func amount() proof.Plan {
	p := proof.Plan{Seeds: 20, Few: true}
	if *proof.Long {
		p.Seeds *= 100
	}
	return p
}

// way is how the actors of a trial reach the store.
type way struct {
	name    string
	capable bool
}

func ways(s store.Store) []way {
	hidden := way{"hidden", false}
	if caps := store.CapabilitiesOf(s); caps.Append == nil && caps.Batch == nil && caps.Late == nil {
		return []way{hidden}
	}
	return []way{{"with capabilities", true}, hidden}
}

// field is where a trial is played: an instance, emptied before every run, and another one once it has grown old.
type field struct {
	testing.TB
	way
	open     func(testing.TB) Instance
	instance Instance
	age      time.Duration // what has passed in it
	told     *string       // which operation of the run failed last
}

// old is when an instance is replaced: a clock may end, as that of package memstore does after 292 years.
const old = 50 * 365 * 24 * time.Hour

func (f *field) ground() sim.Ground {
	f.Helper()
	if f.age > old {
		f.instance, f.age = opened(f.TB, f.open), 0
	}
	s, pace := store.Store(noting{f.instance.Store, f.told}), time.Duration(1)
	if store.CapabilitiesOf(s).Clock == nil {
		s, pace = hurried{s}, hurry
	}
	if !f.capable {
		s = struct{ store.Store }{s}
	}
	empty(f.TB, s)
	*f.told = ""
	return sim.Ground{Store: s, Capable: f.capable, Advance: func(d time.Duration) {
		f.age += pace * d
		f.instance.Advance(pace * d)
	}}
}

func empty(tb testing.TB, s store.Store) {
	tb.Helper()
	ctx := context.Background()
	keys, err := s.Keys(ctx, KeyPrefix)
	ops := make([]store.Op, len(keys))
	for i, key := range keys {
		ops[i] = store.ExpireOp(key, 0)
	}
	err = errors.Join(err, store.FirstError(store.Batch(ctx, s, ops)))
	left, again := s.Keys(ctx, KeyPrefix)
	if err = errors.Join(err, again); err != nil || len(left) > 0 {
		tb.Fatalf("conformance: the instance cannot be emptied before a run: %v; what is left: %q", err, left)
	}
}

// explained is tr, and its violations say why they matter, or which operation failed where there is no invariant.
func explained(tr proof.Trial, told *string) proof.Trial {
	play := tr.Play
	tr.Play = func(on sim.Ground, c sim.Chooser) (*sim.World, error) {
		w, err := play(on, c)
		if err == nil {
			return w, nil
		}
		name := proof.Invariant(err)
		if invariants[name] == "" && *told != "" {
			return w, fmt.Errorf("%w\nthe trial could not go on, for the store failed last in %s", err, *told)
		}
		return w, fmt.Errorf("%w\nbroken invariant %s: %s", err, name, cmp.Or(invariants[name], "the world of the trial says so."))
	}
	return tr
}

// invariants are what the trials hold, each with the reason for it.
var invariants = map[string]string{
	"S1": "A signal whose Post or Send returned nil reaches its receiver: whoever waits for it would wait for ever.",
	"S2": "A signal reaches a waiter at most once per incarnation of its receiver, and not again where its ACK stood: work would be done twice.",
	"S3": "What is handed over is what somebody with the key sent to this receiver, to the byte: anybody who can write could give orders.",
	"S4": "An ACK that was seen was preceded by the hand-over: its sender would go on though nobody heard it.",
	"S5": "An ACK satisfies its own signal only: the wrong Send would return.",
	"S6": "The signals of one sender are handed over in the order in which they were sent: a later order would be overtaken by an earlier one.",
	"S7": "What does not verify stops nobody: one bad entry would silence a receiver for good.",

	"G1": "Nobody is asked before it was looked up whether it has replied: a member would do the work again.",
	"G2": "Who has replied has done so for all, always with the same reply: two lives of an asker would act on different answers.",
	"G3": "Found dead is whose last life is decided dead, and who has not replied: an answer would be lost, or a round wait for the dead.",
	"G4": "Each is asked and counted once, under its own name: an answer would count for two.",
	"G5": "The decision of a round is one: two would act on different outcomes.",

	"D1": "The dead are found within the bounds that the policy states: whoever depends on them would wait longer than promised.",
	"D2": "Nobody is warned whose beats could be seen, and an outage accuses nobody: the living would be taken for dead.",
	"D3": "Each warning stands once, spaced, however many monitors look: a death would be decided too early.",
	"D4": "A death is decided once per incarnation: its work would be handed over twice.",
	"D5": "Who was decided dead is fenced when it comes back: a zombie would go on working.",
	"D6": "Who cannot beat is suspended before it is decided dead: it would work on when its work is given away.",
	"D7": "No verdict depends on wall clocks: one that is wrong would kill.",

	"I1": "An epoch goes to an owner in whose list it stood before his death was decided: it would be overlooked when he dies.",
	"I2": "Who counts as handled has nothing left to hand over: what he owned would be owned by the dead for good.",
	"I3": "An epoch is decided after the one before was given to somebody: nobody could say who owns the unit.",
	"I4": "The next owner begins with the newest acknowledged checkpoint, or a newer one: work that was said to be safe would be lost.",

	"X1": "Every epoch of a unit has one owner, and all agree who: two would work on it at once.",
	"X2": "A unit is done once: it would have two results.",
	"X3": "What was accepted is done, or somebody owns it whose death is found: nobody would ever finish it.",
	"X4": "Who lost a unit commits nothing: a zombie's result would stand.",
	"X5": "Epochs rise: a fencing token would let the elder in.",

	"W1": "A wait ends in a signal, a timeout or the end of its context: in one of them, once.",
	"W2": "A wait times out when it says, neither before nor after: people plan by it.",
	"W3": "What is visible before the timeout is returned: a signal in time would count as too late.",
	"W4": "A timeout and a cancellation consume nothing: the next wait would miss a signal.",
	"W5": "A wait ends a poll period after its signal at the latest, though every hint is lost: nothing may depend on one.",

	"sim": "The procedures come to an end on every store that keeps the rules of Run: this one keeps them going round in circles.",
}
