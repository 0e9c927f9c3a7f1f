package mailbox_test

import (
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

// trial is a world and what has to have been seen in it, at least once in the random runs.
type trial struct {
	config
	reached []string
}

func in(c config, reached ...string) trial { return trial{c, reached} }

// hold plays each trial as rapid draws it, and then at random, and fails on the first violation.
func hold(t *testing.T, trials map[string]trial) {
	runs := uint64(300 / slow)
	if *long {
		runs = 30_000
	}
	for name, tr := range trials {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				if slow > 1 && rapid.IntRange(0, slow-1).Draw(t, "skipped, for it is slow") > 0 {
					return
				}
				if s, err := play(sim.Drawn(t), tr.config); err != nil {
					t.Fatalf("%v\n%s", err, s.world.Transcript())
				}
			})
			reached(t, tr.reached, atRandom(t, runs, tr.config))
		})
	}
}

func atRandom(t *testing.T, runs uint64, cfg config) total {
	seen := total{}
	for seed := range runs {
		s, err := play(sim.Random(seed), cfg)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, s.world.Transcript())
		}
		seen.add(s)
	}
	t.Logf("%d random runs: %v", runs, seen)
	return seen
}

func reached(t *testing.T, want []string, seen total) {
	for _, what := range want {
		if seen[what] == 0 {
			t.Errorf("no run reached %q: the test proves less than it says", what)
		}
	}
}

func TestS1ConfirmedIsHandedOver(t *testing.T) {
	hold(t, map[string]trial{
		"post":            in(hazards(), "hole closed", "ghost applied", "cursor used"),
		"append":          in(with(func(c *config) { c.Append = true }), "ghost applied"),
		"send":            in(with(func(c *config) { c.send, c.hints = true, true }), "ACK written again", "double met"),
		"after a loss":    in(with(func(c *config) { c.losses, c.send = 1, true }), "loss", "regressed"),
		"far counter":     in(with(func(c *config) { c.tail, c.rest = 2000, 16*time.Second }), "settled"),
		"same ids":        in(with(func(c *config) { c.sameIDs = true })),
		"lying hints":     in(with(lying), "hint lied", "hint taken"),
		"dead and a loss": in(with(func(c *config) { c.losses, c.Faults, c.signals = 1, 0, 3 }), "loss"),
	})
}

func lying(c *config) {
	c.hints, c.lies, c.signals, c.lives, c.passes, c.rest = true, true, 3, 1, 6, time.Second
}

func TestS2AtMostOncePerIncarnation(t *testing.T) {
	hold(t, map[string]trial{
		"zombies":      in(with(func(c *config) { c.lives, c.send, c.signals = 3, true, 3 }), "zombie superseded", "double met"),
		"rounds":       in(with(func(c *config) { c.rounds, c.send, c.restarts, c.hints = true, true, 2, true }), "double met"),
		"replays":      in(with(func(c *config) { c.attacks, c.send = 4, true }), "double met"),
		"concurrent":   in(with(func(c *config) { c.shared, c.hints = true, true })),
		"later":        in(with(func(c *config) { c.later, c.send = true, true }), "returned"),
		"after losses": in(with(func(c *config) { c.losses, c.send, c.rounds, c.hints = 2, true, true, true }), "loss"),
		"days go by": in(with(func(c *config) {
			c.stale, c.attacks, c.send, c.rest, c.passes, c.ahead = true, 4, true, 7*time.Hour, 5, 4*time.Minute
			c.Freezes, c.MaxFreezes = []time.Duration{12 * time.Hour, 23*time.Hour + 58*time.Minute}, 3
		}), "refused: stale"),
	})
}

func TestS3OnlyWhatWasSentIsHandedOver(t *testing.T) {
	hold(t, map[string]trial{
		"attacks": in(with(func(c *config) { c.attacks, c.send, c.hints, c.lies = 6, true, true, true }),
			"refused: forged", "refused: misrouted", "refused: malformed"),
	})
}

func TestS4TheACKFollowsTheHandOver(t *testing.T) {
	hold(t, map[string]trial{
		"send":  in(with(func(c *config) { c.send, c.signals = true, 3 }), "ghost applied"),
		"later": in(with(func(c *config) { c.send, c.later = true, true }), "returned"),
	})
}

func TestS5AnACKSatisfiesOnlyItsOwnSignal(t *testing.T) {
	hold(t, map[string]trial{
		"moved ACKs": in(with(func(c *config) { c.attacks, c.send, c.signals, c.passes = 6, true, 3, 5 }), "ACK refused"),
		"same ids":   in(with(func(c *config) { c.attacks, c.send, c.sameIDs = 6, true, true })),
	})
}

func TestS6OneSendersOrderIsKept(t *testing.T) {
	hold(t, map[string]trial{
		"posts":  in(with(func(c *config) { c.signals, c.hints, c.lives, c.rest = 4, true, 1, time.Second }), "hint taken", "hole closed"),
		"append": in(with(func(c *config) { c.signals, c.hints, c.Append = 4, true, true }), "hint taken"),
		"later":  in(with(func(c *config) { c.signals, c.later = 4, true }), "returned"),
	})
}

func TestS7PoisonBlocksNothing(t *testing.T) {
	hold(t, map[string]trial{
		"posts": in(with(func(c *config) { c.attacks = 8 }), "refused: malformed", "refused: forged"),
	})
}

// TestExhaustively plays every interleaving of a sender that may restart and a receiver that may restart beside a
// zombie, with few preemptions and one fault or crash.
func TestExhaustively(t *testing.T) {
	limit := 4_000 / slow
	if *long {
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
				s, err := play(c, cfg)
				if err != nil {
					t.Errorf("%v\n%s", err, s.world.Transcript())
				}
				return err == nil
			})
			t.Logf("%d interleavings; all of them: %v", runs, complete)
		})
	}
}
