package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

// crew runs the command of monitor --spawn, for each unit under a coordinator of its own.
type crew struct {
	link    *link
	command string
	jobs    sync.WaitGroup

	mu       sync.Mutex
	room     int            // how many more may run
	failures map[string]int // of units, so that a command that always fails runs less and less often
}

// errNoRoom: the monitor asks again at its next look.
var errNoRoom = errors.New("as many commands run as may")

const (
	slowestRetry = time.Minute // of a command that failed
	recoveryLife = month       // of the counter that numbers the heirs
)

func (c *crew) options() []coord.MonitorOption {
	if c.command == "" {
		return nil
	}
	c.failures = map[string]int{}
	return []coord.MonitorOption{coord.Spawn(c.spawn)}
}

// spawn starts a coordinator that inherits o, and the command for it.
func (c *crew) spawn(ctx context.Context, o coord.Orphan) error {
	if !c.enter() {
		return errNoRoom
	}
	heir, task, err := c.heir(ctx, o)
	if err != nil {
		c.exit()
		return err
	}
	c.jobs.Go(func() {
		defer c.exit()
		c.work(heir, task, o)
	})
	return nil
}

func (c *crew) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room--
	if c.room < 0 {
		c.room++
		return false
	}
	return true
}

func (c *crew) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room++
}

// heir joins and takes the unit.
func (c *crew) heir(ctx context.Context, o coord.Orphan) (*coord.Coordinator, *coord.Task, error) {
	id, err := c.name(ctx, o.From)
	if err != nil {
		return nil, nil, err
	}
	heir, err := c.link.client.Join(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	task, err := heir.TakeEpoch(ctx, o)
	if err != nil {
		c.dismiss(heir)
		return nil, nil, err
	}
	return heir, task, nil
}

// heirName is what an heir's own name ends with; its heir is named like the first one who died.
var heirName = regexp.MustCompile(`-recovery-[0-9]+$`)

const longestBase = keys.MaxID - len("-recovery-") - 19

// name is the dead one's with a number that no other monitor gives to anybody: it is counted in the store.
func (c *crew) name(ctx context.Context, dead string) (string, error) {
	base := heirName.ReplaceAllString(dead, "")
	base = base[:min(len(base), longestBase)] + "-recovery"
	counter := keys.In(c.link.app.Namespace).Incarnation(base)
	results := store.Batch(ctx, c.link.store.Once(), []store.Op{store.IncrOp(counter), store.ExpireOp(counter, recoveryLife)})
	if err := store.FirstError(results); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%d", base, results[0].N), nil
}

// work runs the command to its end. Whoever failed leaves, so that the unit is handed over again.
func (c *crew) work(heir *coord.Coordinator, t *coord.Task, o coord.Orphan) {
	defer c.dismiss(heir)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	defer context.AfterFunc(c.link.app.ctx, func() { cancel(context.Cause(c.link.app.ctx)) })()
	job := job{app: c.link.app, line: c.command, env: []string{"COORD_SELF=" + heir.ID(), "COORD_DEAD=" + o.From}}
	err := job.run(ctx, t)
	if err == nil || ctx.Err() != nil {
		return
	}
	again := c.failed(o.Unit)
	c.link.narrator.say("unit %s, epoch %d: %v; handed over again in %s", t.ID(), t.Epoch(), err, human(again))
	pause(ctx, again)
}

// failed returns how long to wait until the next attempt: 1, 2, 4 … 60 s.
func (c *crew) failed(unit string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := min(time.Second<<min(c.failures[unit], 6), slowestRetry)
	c.failures[unit]++
	return d
}

func (c *crew) dismiss(heir *coord.Coordinator) {
	if err := c.link.leave(heir, nil); err != nil {
		c.link.narrator.say("%s: %v", heir.ID(), err)
	}
}
