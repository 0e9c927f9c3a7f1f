package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
)

// checkWork: --work and --exec go together, and with nothing that is about signals.
func (r *runCmd) checkWork() error {
	switch {
	case r.Work != (r.Exec != ""):
		return errors.New("--work and --exec need each other")
	case r.Work && (r.Forever || len(r.Type)+len(r.From) > 0):
		return errors.New("--work takes no signals: --forever, --type and --from do not go with it")
	case r.Claim < 0:
		return errors.New("--claim must not be negative")
	}
	return nil
}

// labour runs the command for unit after unit. Whoever is asked to stop hands over, by leaving, what is not done;
// whoever is fenced owns nothing any more, and waits until its commands are dead.
func (r *runCmd) labour(a *app, me *coord.Coordinator, began time.Time) error {
	var running sync.WaitGroup
	j := job{app: a, line: r.Exec, env: []string{"COORD_SELF=" + me.ID()}}
	err := me.OnTakeOver(func(ctx context.Context, t *coord.Task) error {
		running.Add(1)
		defer running.Done()
		return j.run(ctx, t)
	}, coord.Claiming(r.Claim))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(a.ctx, r.timeout()-time.Since(began), coord.ErrTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-me.Context().Done():
		running.Wait()
		return context.Cause(me.Context())
	}
}
