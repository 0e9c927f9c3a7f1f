package detect_test

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/detect/detecttest"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// D1 to D4 whoever goes first at every store operation, with faults, lost answers, late writes, crashes and stalls.
func TestInterleaved(t *testing.T) {
	plan := proof.Plan{Seeds: 1000}
	if *proof.Long {
		plan.Seeds *= 40
	}
	proof.Hold(t, proof.Memory, plan, detecttest.Trials()...)
}

func FuzzInterleaved(f *testing.F) { proof.Fuzz(f, detecttest.Trials()...) }

// What a company shows of rules that matter when time passes between two operations, within a stated number of runs.
func TestInterleavedMutants(t *testing.T) {
	if !thorough {
		t.Skip("one goroutine at a time")
	}
	for name, tt := range map[string]struct {
		mutant detect.Mutant
		opts   sim.Options
		loses  bool
	}{
		"that a pass took long is not noticed":          {detect.Mutant{Rash: true}, detecttest.Hazards(), false},
		"silence counts from the question":              {detect.Mutant{Early: true}, detecttest.Gentle(), false},
		"silence grows across the monitor's own gap":    {detect.Mutant{NoDoubt: true}, detecttest.Hazards(), false},
		"silence grows across a failed poll":            {detect.Mutant{Deaf: true}, detecttest.Gentle(), false},
		"warnings without spacing":                      {detect.Mutant{Hasty: true}, detecttest.Hazards(), false},
		"silence is counted from the late index's time": {detect.Mutant{Indexed: true}, indexed(detecttest.Gentle()), false},
		"that the store lost its data is not noticed":   {detect.Mutant{Oblivious: true}, sim.Options{Preemptions: -1}, true},
		"that it did so in the midst of a check":        {detect.Mutant{Once: true}, sim.Options{Preemptions: -1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			of := detecttest.Company{Options: tt.opts, Policy: detecttest.Quick, Rounds: 4, Check: tt.mutant.Check}
			if tt.opts.Late {
				of.Policy = detecttest.Patient
			}
			if of.Loses = tt.loses; of.Loses {
				of.Pause, of.Rounds = 2, 8
			}
			proof.Kill(t, 10_000, "D1 D2 D3 D4", detecttest.Trial(name, of))
		})
	}
}

func indexed(opts sim.Options) sim.Options {
	opts.Late = true
	return opts
}
