package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
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
	payload, err := payloadOf(w.Payload, a.in, mostResult)
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
	if err := w.add(ctx, l.client, coord.Work{ID: w.Unit, Payload: payload, Progress: w.Progress}); err != nil {
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

func (w *workAddCmd) add(ctx context.Context, c *coord.Client, unit coord.Work) error {
	if w.To == "" {
		return c.AddWork(ctx, unit)
	}
	return c.AssignWork(ctx, unit, w.To)
}
