package mailboxtest

import (
	"strings"
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// hold plays the trials of an invariant.
func hold(t *testing.T, invariant string) {
	plan := proof.Usual
	if *proof.Long {
		plan.Seeds *= 100
	}
	for _, tr := range Trials() {
		if strings.HasPrefix(tr.Name, invariant+"/") {
			proof.Hold(t, proof.Memory, plan, tr)
		}
	}
}

func TestS1ConfirmedIsHandedOver(t *testing.T) { hold(t, "S1") }

func TestS2AtMostOncePerIncarnation(t *testing.T) { hold(t, "S2") }

func TestS3OnlyWhatWasSentIsHandedOver(t *testing.T) { hold(t, "S3") }

func TestS4TheACKFollowsTheHandOver(t *testing.T) { hold(t, "S4") }

func TestS5AnACKSatisfiesOnlyItsOwnSignal(t *testing.T) { hold(t, "S5") }

func TestS6OneSendersOrderIsKept(t *testing.T) { hold(t, "S6") }

func TestS7PoisonBlocksNothing(t *testing.T) { hold(t, "S7") }

// TestExhaustively plays every interleaving of a sender that may restart and a receiver that may restart beside a
// zombie, with few preemptions and one fault or crash.
func TestExhaustively(t *testing.T) {
	limit := 4_000 / proof.Slow
	if *proof.Long {
		limit = 5_000_000
	}
	worlds := map[string]config{
		"a zombie":       {senders: 1, signals: 1, lives: 2, passes: 1, Options: sim.Options{Preemptions: 2}},
		"a fault":        {senders: 1, signals: 1, lives: 1, passes: 2, rest: times.Log.Grace, Options: sim.Options{Preemptions: 1, Faults: 1}},
		"a crash":        {senders: 1, signals: 1, restarts: 1, rounds: true, lives: 1, passes: 2, rest: times.Log.Grace, Options: sim.Options{Preemptions: 1, Crashes: 1}},
		"a crash beside": {senders: 1, signals: 1, restarts: 1, lives: 2, passes: 1, Options: sim.Options{Preemptions: 1, Crashes: 1, Faults: 1}},
		"a loss":         {senders: 1, signals: 1, send: true, lives: 1, losses: 1, passes: 2, rest: times.Log.Grace, Options: sim.Options{Preemptions: 2}},
	}
	for name, cfg := range worlds {
		t.Run(name, func(t *testing.T) {
			runs, complete := sim.Explore(limit, func(c sim.Chooser) bool {
				w, err := cfg.play(sim.Ground{}, c)
				if err != nil {
					t.Errorf("%v\n%s", err, w.Transcript())
				}
				return err == nil
			})
			t.Logf("counted %d interleavings; all of them: %v", runs, complete)
		})
	}
}
