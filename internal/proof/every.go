package proof

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/sim"
)

// Every plays a small trial in every way it can go, the plainest first, and says whether limit runs were all; lengthy is
// the limit of -coord.long.
func Every(t *testing.T, limit, lengthy int, trial Trial) {
	t.Run(trial.Name, func(t *testing.T) {
		limit := limit / Slow
		if *Long {
			limit = lengthy
		}
		runs, all := sim.Explore(limit, func(c sim.Chooser) bool {
			w, err := trial.Play(sim.Ground{}, c)
			if err != nil {
				t.Errorf("%v\n%s", err, w.Transcript())
			}
			return err == nil
		})
		t.Logf("counted %d interleavings; all of them: %v", runs, all)
	})
}
