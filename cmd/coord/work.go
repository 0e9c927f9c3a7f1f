package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/keys"
)

type workCmd struct {
	Add  workAddCmd  `cmd:"" help:"Put a unit of work where whoever runs with --work finds it."`
	Ls   workLsCmd   `cmd:"" help:"List the units of work: who owns them, and which are done."`
	Show workShowCmd `cmd:"" help:"Show a unit of work: its payload, its owners, its last checkpoint, its result."`
}

type workAddCmd struct {
	Unit     string        `arg:"" help:"Its name, which no other unit has had."`
	To       string        `placeholder:"ID" help:"Who is to own it: a coordinator that runs with --work. Without it whoever comes first."`
	Payload  string        `placeholder:"TEXT|@FILE|-" help:"What there is to do: text, a file's content, or stdin."`
	Progress time.Duration `help:"How long its owner may go without a checkpoint before it is given to another; 0 for ever."`
	Timeout  time.Duration `default:"10s" help:"How long to go on trying while the store does not answer."`
}

// Validate is called by kong.
func (w *workAddCmd) Validate() error {
	return errors.Join(checkID("unit", w.Unit), checkID("--to", w.To))
}

// Run adds.
func (w *workAddCmd) Run(a *app) error {
	if err := unitNamed(w.Unit); err != nil {
		return err
	}
	payload, err := a.payload(w.Payload, mostResult)
	if err != nil {
		return err
	}
	if len(payload) > mostResult {
		return fmt.Errorf("--payload: more than %d bytes", mostResult)
	}
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(a.ctx, w.Timeout)
	defer cancel()
	if err := w.add(ctx, l, coord.Work{ID: w.Unit, Payload: payload, Progress: w.Progress}); err != nil {
		if ctx.Err() != nil && a.ctx.Err() == nil {
			return l.unavailable(w.Timeout)
		}
		return err
	}
	if w.To == "" {
		return a.say("added "+w.Unit, workRow{Event: "added", Unit: w.Unit})
	}
	return a.say("added "+w.Unit+" to "+w.To, workRow{Event: "added", Unit: w.Unit, Epoch: 1, Owner: w.To})
}

func (w *workAddCmd) add(ctx context.Context, l *link, unit coord.Work) error {
	if err := taken(ctx, l, unit); err != nil {
		return err
	}
	if w.To == "" {
		return l.client.AddWork(ctx, unit)
	}
	return l.client.AssignWork(ctx, unit, w.To)
}

// taken is coord.ErrTaken where another unit of that name waits for its first owner: one of the two would get one, and
// nobody would learn of the other. Who adds at the same moment is not seen; adding the same unit again is no other one.
func taken(ctx context.Context, l *link, unit coord.Work) error {
	u := &audit{store: l.store, space: keys.In(l.app.Namespace), ring: l.ring}
	waiting, _, err := u.desk().OpenUnits().Read(ctx)
	for _, there := range waiting {
		if there.ID != unit.ID {
			continue
		}
		payload, progress, unread := u.desk().Payload(ctx, there)
		switch {
		case unread != nil: // nobody can begin it
		case bytes.Equal(payload, unit.Payload) && progress == unit.Progress.Truncate(time.Millisecond):
			return nil
		default:
			err = fmt.Errorf("%w: unit %s waits for its first owner, with another payload or --progress", coord.ErrTaken, unit.ID)
		}
	}
	return err
}

// unitNamed: an empty name is none, and kong does not ask for it.
func unitNamed(unit string) error {
	if unit == "" {
		return usage(errors.New("unit: its name is empty"))
	}
	return nil
}
