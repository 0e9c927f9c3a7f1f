package mailbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/sim"
	"pgregory.net/rapid"
)

// hazards is the world that most properties are held against.
func hazards() config {
	return config{
		Options: sim.Options{
			Faults: 3, Crashes: 2, Preemptions: -1,
			Freezes: []time.Duration{3 * time.Second, 40 * time.Second, 2 * time.Minute}, MaxFreezes: 2,
		},
		senders: 2, signals: 2, restarts: 1,
		lives: 2, passes: 3, rest: 2 * time.Second, drawn: true,
	}
}

func with(change func(*config)) config {
	c := hazards()
	change(&c)
	return c
}

// hold plays cfg as rapid draws it, and then at random, and fails on the first violation.
func hold(t *testing.T, runs int, cfgs map[string]config) {
	for name, cfg := range cfgs {
		t.Run(name, func(t *testing.T) {
			seen := total{}
			rapid.Check(t, func(t *rapid.T) {
				if s, err := play(sim.Drawn(t), cfg); err != nil {
					t.Fatalf("%v\n%s", err, s.world.Transcript())
				}
			})
			if *long {
				runs *= 100
			}
			for seed := range uint64(runs) {
				s, err := play(sim.Random(seed), cfg)
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, s.world.Transcript())
				}
				seen.add(s)
			}
			t.Log(fmt.Sprint(seen))
		})
	}
}

func TestS1ConfirmedIsHandedOver(t *testing.T) {
	hold(t, 200, map[string]config{
		"post":            hazards(),
		"append":          with(func(c *config) { c.Append = true }),
		"send":            with(func(c *config) { c.send, c.hints = true, true }),
		"after a loss":    with(func(c *config) { c.losses, c.send = 1, true }),
		"far counter":     with(func(c *config) { c.tail = 2000 }),
		"same ids":        with(func(c *config) { c.sameIDs = true }),
		"lying hints":     with(func(c *config) { c.hints, c.lies, c.send = true, true, true }),
		"dead and a loss": with(func(c *config) { c.losses, c.Faults, c.signals = 1, 0, 3 }),
	})
}

func TestS2AtMostOncePerIncarnation(t *testing.T) {
	hold(t, 200, map[string]config{
		"zombies":      with(func(c *config) { c.lives = 3 }),
		"rounds":       with(func(c *config) { c.rounds, c.send, c.restarts, c.hints = true, true, 2, true }),
		"attacks":      with(func(c *config) { c.attacks, c.send = 4, true }),
		"later":        with(func(c *config) { c.later, c.send = true, true }),
		"after a loss": with(func(c *config) { c.losses, c.send, c.rounds, c.hints = 2, true, true, true }),
		"time goes by": with(func(c *config) {
			c.stale, c.attacks, c.send, c.rest, c.MaxFreezes, c.Freezes, c.ahead, c.passes = true, 4, true, 7*time.Hour, 3, []time.Duration{12 * time.Hour, 23*time.Hour + 58*time.Minute}, 4*time.Minute, 5
		}),
	})
}
