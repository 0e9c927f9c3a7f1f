package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

type sendCmd struct {
	From    string        `required:"" help:"The name to send under; a coordinator of that name may run meanwhile."`
	To      string        `required:"" help:"Whom to send to; need not run yet."`
	Type    string        `default:"wake" help:"What the signal asks for."`
	Payload string        `placeholder:"TEXT|@FILE|-" help:"What it carries: text, a file's content, or stdin."`
	Timeout time.Duration `default:"5s" help:"How long to block for the ACK."`
	NoWait  bool          `help:"Only post it: durable, not waited for."`

	posted atomic.Bool // the store has confirmed it
}

func (s *sendCmd) watch(e coord.Event) {
	if _, ok := e.(coord.SignalPosted); ok {
		s.posted.Store(true)
	}
}

// Validate is called by kong.
func (s *sendCmd) Validate() error {
	err := errors.Join(checkID("--from", s.From), checkID("--to", s.To), checkID("--type", s.Type))
	if err == nil && s.Timeout == 0 {
		err = errors.New("--timeout must be positive; to send without waiting there is --no-wait")
	}
	return err
}

// Run sends, and leaves nothing behind but the signal.
func (s *sendCmd) Run(a *app) error {
	payload, err := a.payload(s.Payload, envelope.MaxSize)
	if err != nil {
		return err
	}
	l, err := a.connect(coord.ObserverFunc(s.watch))
	if err != nil {
		return err
	}
	defer l.close()
	me, err := l.client.Guest(s.From)
	if err != nil {
		return err
	}
	defer me.Close()
	if s.NoWait {
		return s.post(l, me, payload)
	}
	return s.send(l, me, payload)
}

func (s *sendCmd) post(l *link, me *coord.Guest, payload []byte) error {
	ctx, cancel := context.WithTimeout(l.app.ctx, s.Timeout)
	defer cancel()
	id, err := me.Post(ctx, s.To, s.Type, payload)
	switch {
	case err == nil:
		return l.app.say(fmt.Sprintf("posted %s to %s", s.Type, s.To), posted{"posted", s.To, s.Type, id})
	case errors.Is(err, context.DeadlineExceeded):
		return l.unavailable(s.Timeout)
	}
	return err
}

type posted struct {
	Event string `json:"event"`
	To    string `json:"to"`
	Type  string `json:"type"`
	ID    string `json:"signalId"`
}

type acknowledged struct {
	Event     string  `json:"event"`
	From      string  `json:"from"`
	ID        string  `json:"signalId"`
	LatencyMs float64 `json:"latencyMs"`
	Result    *string `json:"result,omitempty"`
	Base64    []byte  `json:"resultBase64,omitempty"`
}

func (s *sendCmd) send(l *link, me *coord.Guest, payload []byte) error {
	ack, err := me.Send(l.app.ctx, s.To, s.Type, payload, coord.Within(s.Timeout))
	if err != nil {
		return s.explain(l, err)
	}
	text := fmt.Sprintf("ACK from %s in %s%s", ack.From, brief(ack.Latency), quoted("result", ack.Result))
	v := acknowledged{Event: "ack", From: ack.From, ID: ack.SignalID, LatencyMs: ack.Latency.Seconds() * 1000}
	if c := contentOf(ack.Result); c.Text != "" {
		v.Result = &c.Text
	} else {
		v.Base64 = c.Base64
	}
	return l.app.say(text, v)
}

// explain says why there is no ACK, and where the signal is now.
func (s *sendCmd) explain(l *link, err error) error {
	_, byRequest := errors.AsType[stopped](err)
	switch {
	case errors.Is(err, store.ErrDenied) || !errors.Is(err, coord.ErrNoAck):
		return err
	case byRequest && !s.posted.Load():
		return context.Cause(l.app.ctx)
	case byRequest:
		return fmt.Errorf("no ACK from %s yet: the signal stays in its %s: %w", s.To, l.app.box(), context.Cause(l.app.ctx))
	case errors.Is(err, coord.ErrUnavailable), !s.posted.Load():
		return l.unavailable(s.Timeout)
	case errors.Is(err, coord.ErrTimeout):
		line := fmt.Sprintf("no ACK from %s after %s: the signal stays in its %s and may still be handed over",
			s.To, human(s.Timeout), l.app.box())
		return &failure{code: exitTimeout, line: line, cause: err, bare: true}
	}
	return err
}

// box is where a signal waits.
func (g *globals) box() string {
	if g.EmitLegacy {
		return "slot"
	}
	return "mailbox"
}

// payload is what --payload says. It reads no more than is needed to know that it is more than most bytes, and no longer
// than until a is asked to stop: nobody may ever write to a pipe.
func (a *app) payload(arg string, most int64) ([]byte, error) {
	var b []byte
	read := make(chan error, 1)
	go func() {
		var err error
		b, err = payloadOf(arg, a.in, most)
		read <- err
	}()
	select {
	case err := <-read:
		return b, err
	case <-a.ctx.Done():
		return nil, context.Cause(a.ctx)
	}
}

func payloadOf(arg string, stdin io.Reader, most int64) ([]byte, error) {
	file, isFile := strings.CutPrefix(arg, "@")
	switch {
	case arg == "-":
		return readPayload(stdin, most)
	case !isFile:
		return []byte(arg), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--payload: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readPayload(f, most)
}

func readPayload(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("--payload: %w", err)
	}
	return b, nil
}
