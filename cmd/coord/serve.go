package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/blocking-coordination/coord"
)

type serveCmd struct {
	ID      string        `required:"" help:"The name to join under."`
	Exec    string        `required:"" placeholder:"CMD" help:"Run CMD (sh -c) for each signal: its payload on stdin, COORD_ID, COORD_FROM, COORD_TYPE, COORD_ROUND and COORD_SIGNAL in its environment. What it prints is the answer, without newlines at its end; if it fails, that is a rejection."`
	Workers int           `default:"1" help:"How many commands may run at once."`
	Timeout time.Duration `help:"Stop after this time (default: never)."`
}

const mostAnswer = 48 << 10 // bytes: an acknowledgement has 64 KiB in all

// Validate is called by kong.
func (s *serveCmd) Validate() error { return checkID("--id", s.ID) }

// Run answers until it is asked to stop.
func (s *serveCmd) Run(a *app) error {
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	ctx, cancel := a.ctx, context.CancelFunc(func() {})
	if s.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(a.ctx, s.Timeout, coord.ErrTimeout)
	}
	defer cancel()
	me, err := l.join(s.ID, unbounded)
	if err != nil {
		return err
	}
	l.narrator.say("%s joined (incarnation %d), serving", s.ID, me.Incarnation())
	err = me.Serve(ctx, func(ctx context.Context, q *coord.Signal) ([]byte, error) { return s.answer(ctx, a, q) },
		coord.Workers(s.Workers))
	if _, byRequest := errors.AsType[stopped](err); byRequest || errors.Is(err, coord.ErrTimeout) {
		err = nil
	}
	return l.leave(me, err)
}

// answer runs the command. Who is stopped meanwhile has not answered: the signal comes again to the next incarnation.
func (s *serveCmd) answer(ctx context.Context, a *app, q *coord.Signal) ([]byte, error) {
	out := &limited{most: mostAnswer}
	cmd := exec.CommandContext(ctx, "sh", "-c", s.Exec)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(q.Payload), out, a.err
	cmd.Env = append(os.Environ(), "COORD_ID="+q.To, "COORD_FROM="+q.From, "COORD_TYPE="+q.Type,
		"COORD_ROUND="+q.Round, "COORD_SIGNAL="+q.ID)
	cmd.WaitDelay = dyingTime
	asGroup(cmd)
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, coord.ErrLater
	case out.over:
		return nil, fmt.Errorf("the answer has more than %d bytes", mostAnswer)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("the command failed: %w", err)
	}
	return bytes.TrimRight(out.b.Bytes(), "\n"), nil
}
