package proof

import (
	"strings"
	"testing"

	"github.com/blocking-coordination/coord/internal/sim"
)

// Kill plays a trial whose procedures are broken until it fails, within limit seeds, and shows the plainest run that
// fails so, if anybody is to see it. breaks lists the invariants that may tell.
func Kill(t *testing.T, limit uint64, breaks string, trial Trial) {
	t.Helper()
	play := func(c sim.Chooser) (*sim.World, error) { return trial.Play(sim.Ground{}, c) }
	for seed := range limit {
		tape := &sim.Recorder{Chooser: trial.chance(seed)}
		_, err := play(tape)
		if err == nil {
			continue
		}
		if !strings.Contains(breaks, Invariant(err)) {
			t.Errorf("it breaks %s, want one of %s", Invariant(err), breaks)
		}
		if testing.Verbose() || t.Failed() {
			var w *sim.World
			w, err = Shrink(play, 1000, tape.Tape, err)
			t.Log("\n" + w.Transcript())
		}
		t.Logf("killed in check %d of at most %d: %v", seed+1, limit, err)
		t.Log("counted 1 mutants")
		return
	}
	t.Errorf("it survives %d checks", limit)
}
