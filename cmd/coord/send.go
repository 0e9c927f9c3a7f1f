package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
)

type sendCmd struct {
	From    string        `required:"" help:"The name to send under; a coordinator of that name may run meanwhile."`
	To      string        `required:"" help:"Whom to send to; need not run yet."`
	Type    string        `default:"wake" help:"What the signal asks for."`
	Payload string        `placeholder:"TEXT|@FILE|-" help:"What it carries: text, a file's content, or stdin."`
	Timeout time.Duration `default:"5s" help:"How long to block for the ACK."`
	NoWait  bool          `help:"Only post it: durable, not waited for."`
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
	payload, err := s.payload(a.in)
	if err != nil {
		return err
	}
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	g, stop, err := l.guest(s.From, s.To, s.Type, payload)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(a.ctx, s.Timeout)
	defer cancel()
	if s.NoWait {
		return s.post(ctx, l, g)
	}
	return s.send(ctx, l, g)
}

func (s *sendCmd) post(ctx context.Context, l *link, g *guest) error {
	if err := g.deliver(ctx); err != nil {
		return s.explain(l, g, err)
	}
	return l.app.say(fmt.Sprintf("posted %s to %s", s.Type, s.To), posted{"posted", s.To, s.Type, g.id()})
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

func (s *sendCmd) send(ctx context.Context, l *link, g *guest) error {
	began := time.Now()
	ack, err := g.send(ctx)
	latency := time.Since(began)
	if ack == nil {
		return s.explain(l, g, err)
	}
	if ack.Rejected {
		return fmt.Errorf("%s: %w: %s", s.To, coord.ErrRejected, ack.Reason)
	}
	text := fmt.Sprintf("ACK from %s in %s%s", ack.Receiver, brief(latency), quoted("result", ack.Result))
	v := acknowledged{Event: "ack", From: ack.Receiver, ID: ack.SignalID, LatencyMs: latency.Seconds() * 1000}
	if c := contentOf(ack.Result); c.Text != "" {
		v.Result = &c.Text
	} else {
		v.Base64 = c.Base64
	}
	return l.app.say(text, v)
}

// explain says why there is no ACK, and where the signal is now.
func (s *sendCmd) explain(l *link, g *guest, err error) error {
	byRequest := l.app.ctx.Err() != nil
	switch {
	case byRequest && g.posted:
		return fmt.Errorf("no ACK from %s yet: the signal stays in its %s: %w", s.To, l.app.box(), context.Cause(l.app.ctx))
	case byRequest:
		return context.Cause(l.app.ctx)
	case !errors.Is(err, coord.ErrTimeout):
		return err
	case !g.posted:
		return l.unavailable(s.Timeout)
	}
	line := fmt.Sprintf("no ACK from %s after %s: the signal stays in its %s and may still be handed over",
		s.To, human(s.Timeout), l.app.box())
	return &failure{code: exitTimeout, line: line, cause: err, bare: true}
}

// box is where a signal waits.
func (g *globals) box() string {
	if g.EmitLegacy {
		return "slot"
	}
	return "mailbox"
}

// payload reads no more than is needed to know that it is too much.
func (s *sendCmd) payload(stdin io.Reader) ([]byte, error) {
	file, isFile := strings.CutPrefix(s.Payload, "@")
	switch {
	case s.Payload == "-":
		return readPayload(stdin)
	case !isFile:
		return []byte(s.Payload), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--payload: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readPayload(f)
}

func readPayload(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, envelope.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("--payload: %w", err)
	}
	return b, nil
}
