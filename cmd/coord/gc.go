package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
)

type gcCmd struct {
	auditFlags
	DryRun bool `help:"Change nothing; say what would be done."`
}

// chore is one thing to do to one key: delete it, or give it the time to live that its writer was going to give it.
type chore struct {
	Action string `json:"action"` // delete or expire
	Key    string `json:"key"`
	Why    string `json:"why"`
	TTLMs  int64  `json:"ttlMs,omitempty"`
	DryRun bool   `json:"dryRun,omitempty"`

	ttl time.Duration
}

// Run removes what nobody can need: entries of mailboxes that are too old to be handed over or that are acknowledged.
// What should have a time to live and has none, since its writer died in between, is given it: a counter that somebody
// may still use is not taken away under him. Keys that are not exactly ours are never touched.
func (c *gcCmd) Run(a *app) error {
	return a.audit(c.Timeout, func(u *audit) error {
		chores, kept, err := u.chores()
		if err != nil {
			return err
		}
		for _, x := range chores {
			x.DryRun = c.DryRun
			if err := u.do(x); err != nil {
				return err
			}
		}
		return a.say(c.summary(chores, kept), c.totals(chores, kept))
	})
}

func (u *audit) do(x chore) error {
	if !x.DryRun {
		if _, err := u.store.Expire(u.ctx, x.Key, x.ttl); err != nil {
			return err
		}
	}
	would := ""
	if x.DryRun {
		would = "would "
	}
	return u.app.say(fmt.Sprintf("%s%s %s: %s", would, x.Action, x.Key, x.Why), x)
}

// chores finds what there is to do, and counts the keys that stay as they are.
func (u *audit) chores() (chores []chore, kept int, err error) {
	all, err := u.keys(u.space.Prefix())
	if err != nil {
		return nil, 0, err
	}
	needless, err := u.needless()
	if err != nil {
		return nil, 0, err
	}
	lives, err := u.lives(namesOf(all))
	if err != nil {
		return nil, 0, err
	}
	for i, r := range all {
		switch why := needless[r.Key]; {
		case why != "":
			chores = append(chores, chore{Action: "delete", Key: r.Key, Why: why})
		case lives[i] == ttlNone && r.Life > 0:
			chores = append(chores, lingering(r))
		case lives[i] != ttlMissing:
			kept++
		}
	}
	return chores, kept, nil
}

func lingering(r record) chore {
	return chore{
		Action: "expire", Key: r.Key, ttl: r.Life, TTLMs: r.Life.Milliseconds(),
		Why: fmt.Sprintf("a %s without a time to live gets %s", r.Kind, human(r.Life)),
	}
}

// needless are the entries that their receiver would step over, by key, with the reason.
func (u *audit) needless() (map[string]string, error) {
	all, err := u.mails()
	needless := map[string]string{}
	for _, m := range all {
		switch {
		case m.acked:
			needless[m.Key] = "acknowledged"
		case errors.Is(m.err, envelope.ErrStale):
			needless[m.Key] = "older than a signal lives"
		}
	}
	return needless, err
}

type gcTotals struct {
	Event   string `json:"event"`
	Deleted int    `json:"deleted"`
	Expired int    `json:"expired"`
	Kept    int    `json:"kept"`
	DryRun  bool   `json:"dryRun"`
}

func (c *gcCmd) totals(chores []chore, kept int) gcTotals {
	t := gcTotals{Event: "gc", Kept: kept, DryRun: c.DryRun}
	for _, x := range chores {
		if x.Action == "delete" {
			t.Deleted++
		} else {
			t.Expired++
		}
	}
	return t
}

func (c *gcCmd) summary(chores []chore, kept int) string {
	t := c.totals(chores, kept)
	if c.DryRun {
		return fmt.Sprintf("dry run: would delete %d, would give %d a time to live, would keep %d; nothing was changed",
			t.Deleted, t.Expired, t.Kept)
	}
	return fmt.Sprintf("deleted %d, gave %d a time to live, kept %d", t.Deleted, t.Expired, t.Kept)
}
