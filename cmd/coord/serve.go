package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
	"unicode/utf8"

	"github.com/blocking-coordination/coord"
)

type serveCmd struct {
	ID      string        `required:"" help:"The name to join under."`
	Exec    string        `required:"" placeholder:"CMD" help:"Run CMD (sh -c) for each signal: its payload on stdin, COORD_SELF, COORD_SIGNAL_FROM, COORD_SIGNAL_TYPE, COORD_SIGNAL_ROUND and COORD_SIGNAL_ID in its environment. What it prints is the answer, without newlines at its end, of at most 60 KiB as a JSON string, or as base64 where it is no UTF-8; if it fails, that is a rejection. What it leaves in the background goes on. If coord is killed with SIGKILL, on Linux so is sh, but not what that has started: begin CMD with exec."`
	Workers int           `default:"1" help:"How many commands may run at once."`
	Timeout time.Duration `help:"Stop after this time (default: never)."`
}

const mostAnswer = 60 << 10 // bytes, as it stands in an acknowledgement, which has 64 KiB in all

// Validate is called by kong.
func (s *serveCmd) Validate() error {
	if s.Exec == "" {
		return errors.New("--exec: which command is to answer?")
	}
	return checkID("--id", s.ID)
}

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
	me, err := l.join(s.ID, cmp.Or(s.Timeout, unbounded))
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
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(q.Payload), out, a.raw.err
	cmd.Env = append(os.Environ(), "COORD_SELF="+q.To, "COORD_SIGNAL_FROM="+q.From, "COORD_SIGNAL_TYPE="+q.Type,
		"COORD_SIGNAL_ROUND="+q.Round, "COORD_SIGNAL_ID="+q.ID)
	cmd.WaitDelay = dyingTime
	err := runAsGroup(cmd)
	switch {
	case ctx.Err() != nil:
		return nil, coord.ErrLater
	case out.over:
		return nil, errAnswer
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("the command failed: %w", err)
	}
	return fitting(bytes.TrimRight(out.b.Bytes(), "\n"))
}

// errAnswer says in what form an answer is too large.
var errAnswer = fmt.Errorf("the answer takes more than %d bytes, as a JSON string or, where it is no UTF-8, as base64", mostAnswer)

// fitting refuses what an acknowledgement has no room for.
func fitting(answer []byte) ([]byte, error) {
	n := base64.StdEncoding.EncodedLen(len(answer))
	if utf8.Valid(answer) {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		_ = e.Encode(string(answer)) // a string can be
		n = text.Len()
	}
	if n > mostAnswer {
		return nil, errAnswer
	}
	return answer, nil
}
