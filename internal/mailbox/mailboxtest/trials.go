package mailboxtest

import (
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
)

// Trials are the worlds in which S1 to S7 are held.
func Trials() []proof.Trial {
	return []proof.Trial{
		trial("S1/post", hazards(), "hole closed", "ghost applied", "cursor used"),
		trial("S1/append", with(func(c *config) { c.Append = true }), "ghost applied"),
		trial("S1/batch", with(func(c *config) { c.Batch, c.hints = true, true }), "cut short", "ghost applied", "hole closed"),
		trial("S1/send", with(func(c *config) { c.send, c.hints = true, true }), "ACK written again", "double met"),
		trial("S1/after a loss", with(func(c *config) { c.losses, c.send = 1, true }), "loss", "regressed"),
		trial("S1/far counter", with(func(c *config) { c.tail, c.rest = 2000, 16*time.Second }), "settled"),
		trial("S1/same ids", with(func(c *config) { c.sameIDs = true })),
		trial("S1/lying hints", with(lying), "hint lied", "hint taken"),
		trial("S1/dead and a loss", with(func(c *config) { c.losses, c.Faults, c.signals = 1, 0, 3 }), "loss"),
		trial("S2/zombies", with(func(c *config) { c.lives, c.send, c.signals = 3, true, 3 }), "zombie superseded", "double met"),
		trial("S2/rounds", with(func(c *config) { c.rounds, c.send, c.restarts, c.hints = true, true, 2, true }), "double met"),
		trial("S2/batch", with(func(c *config) { c.Batch, c.send, c.lives, c.later = true, true, 3, true }), "cut short", "zombie superseded"),
		trial("S2/replays", with(func(c *config) { c.attacks, c.send = 4, true }), "double met"),
		trial("S2/concurrent", with(func(c *config) { c.shared, c.hints = true, true })),
		trial("S2/later", with(func(c *config) { c.later, c.send = true, true }), "returned"),
		trial("S2/after losses", with(func(c *config) { c.losses, c.send, c.rounds, c.hints = 2, true, true, true }), "loss"),
		trial("S2/days go by", with(days), "refused: stale"),
		trial("S3/attacks", with(func(c *config) { c.attacks, c.send, c.hints, c.lies = 6, true, true, true }),
			"refused: forged", "refused: misrouted", "refused: malformed"),
		trial("S4/send", with(func(c *config) { c.send, c.signals = true, 3 }), "ghost applied"),
		trial("S4/later", with(func(c *config) { c.send, c.later = true, true }), "returned"),
		trial("S5/moved ACKs", with(func(c *config) { c.attacks, c.send, c.signals, c.passes = 6, true, 3, 5 }), "ACK refused"),
		trial("S5/same ids", with(func(c *config) { c.attacks, c.send, c.sameIDs = 6, true, true })),
		trial("S6/posts", with(func(c *config) { c.signals, c.hints, c.lives, c.rest = 4, true, 1, time.Second }), "hint taken", "hole closed"),
		trial("S6/append", with(func(c *config) { c.signals, c.hints, c.Append = 4, true, true }), "hint taken"),
		trial("S6/batch", with(func(c *config) { c.signals, c.hints, c.Append, c.Batch = 4, true, true, true }), "cut short"),
		trial("S6/later", with(func(c *config) { c.signals, c.later = 4, true }), "returned"),
		trial("S7/posts", with(func(c *config) { c.attacks = 8 }), "refused: malformed", "refused: forged"),
	}
}

func trial(name string, c config, reached ...string) proof.Trial {
	return proof.Trial{Name: name, Play: c.play, Reached: reached}
}

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

func days(c *config) {
	c.stale, c.attacks, c.send, c.rest, c.passes, c.ahead = true, 4, true, 7*time.Hour, 5, 4*time.Minute
	c.Freezes, c.MaxFreezes = []time.Duration{12 * time.Hour, 23*time.Hour + 58*time.Minute}, 3
}

func lying(c *config) {
	c.hints, c.lies, c.signals, c.lives, c.passes, c.rest = true, true, 3, 1, 6, time.Second
}
