package roundtest

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

func TestRoundsStepByStep(t *testing.T) {
	plan := proof.Usual
	if *proof.Long {
		plan.Seeds *= 100
	}
	proof.Hold(t, proof.Memory, plan, Trials()...)
}

// TestRoundsExhaustively plays every interleaving of one asker and one member, each of which may crash or fail once.
func TestRoundsExhaustively(t *testing.T) {
	small := func(o sim.Options, change func(*config)) config {
		c := config{Options: o, askers: 1, gathers: 1, looks: 1, to: []string{"v1"}, twins: 1, passes: 1, until: atLeast(1), plain: true}
		change(&c)
		return c
	}
	for name, c := range map[string]config{
		"no fault":      small(sim.Options{}, func(*config) {}),
		"a preemption":  small(sim.Options{Preemptions: 1}, func(*config) {}),
		"a fault":       small(sim.Options{Faults: 1}, func(*config) {}),
		"a crash":       small(sim.Options{Crashes: 1}, func(c *config) { c.restarts, c.lives = 1, 1 }),
		"a second life": small(sim.Options{}, func(c *config) { c.twins = 2 }),
		"two askers":    small(sim.Options{Preemptions: 1}, func(c *config) { c.askers, c.looks = 2, 0 }),
	} {
		proof.Every(t, 3_000, 1_000_000, proof.Trial{Name: name, Play: c.play})
	}
}
