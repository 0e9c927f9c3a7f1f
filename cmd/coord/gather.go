package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
)

type gatherCmd struct {
	ID      string        `required:"" help:"The name to ask under: whoever gathers again under it goes on with the round."`
	Round   string        `required:"" help:"The name of the round, for one question."`
	To      []string      `required:"" help:"Whom to ask, separated by commas; they need not run yet."`
	Payload string        `placeholder:"TEXT|@FILE|-" help:"The question: text, a file's content, or stdin."`
	Until   string        `default:"all" help:"How many answers are enough: all, any, or a number."`
	Timeout time.Duration `default:"10m" help:"How long the round may take, from the first time that it is gathered."`
	Slice   time.Duration `help:"Block for this long at most: exit code 75 means that the round is still open; run the same again."`
}

// Validate is called by kong.
func (g *gatherCmd) Validate() error {
	err := errors.Join(checkID("--id", g.ID), checkID("--round", g.Round))
	for _, id := range g.To {
		err = errors.Join(err, checkID("--to", id))
	}
	_, bad := g.until()
	return errors.Join(err, bad)
}

func (g *gatherCmd) until() (coord.Condition, error) {
	switch g.Until {
	case "all", "":
		return coord.All(), nil
	case "any":
		return coord.Any(), nil
	}
	n, err := strconv.Atoi(g.Until)
	if err != nil || n < 1 {
		return nil, errors.New("--until: want all, any, or a number")
	}
	return coord.AtLeast(n), nil
}

// Run prints what there is, however it ends.
func (g *gatherCmd) Run(a *app) error {
	question, err := payloadOf(g.Payload, a.in, envelope.MaxSize)
	if err != nil {
		return err
	}
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	me, err := l.join(g.ID, g.Timeout)
	if err != nil {
		return err
	}
	return l.leave(me, g.gather(l, me, question))
}

func (g *gatherCmd) gather(l *link, me *coord.Coordinator, question []byte) error {
	left, err := g.left(l)
	if err != nil {
		return err
	}
	within, last := left, true
	if g.Slice > 0 && g.Slice < left {
		within, last = g.Slice, false
	}
	enough, _ := g.until() // Validate has looked
	r, err := coord.Gather[[]byte](l.app.ctx, me, g.Round, question,
		coord.To(g.To...), coord.Within(within), coord.Until(enough), coord.Encoding(asItIs{}))
	if r == nil || errors.Is(err, coord.ErrOtherQuestion) {
		return err
	}
	ended, verdict := g.verdict(err, last)
	return errors.Join(writeJSON(l.app.out, told(r, err == nil, ended)), verdict)
}

// verdict translates how the gathering ended.
func (g *gatherCmd) verdict(err error, last bool) (ended bool, _ error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, coord.ErrUnavailable):
		return false, err
	case errors.Is(err, coord.ErrTimeout) && last:
		line := "timeout: the round is incomplete after " + human(g.Timeout)
		return true, &failure{code: exitTimeout, line: line, cause: err, bare: true}
	case errors.Is(err, coord.ErrTimeout):
		return false, &failure{code: exitWaiting, line: "the round is still open", cause: err, bare: true}
	case onlyIncomplete(err):
		return true, nil // everybody has replied or is dead
	}
	return false, err
}

// onlyIncomplete: nothing but the members themselves ended the round.
func onlyIncomplete(err error) bool {
	for _, other := range []error{coord.ErrClosed, coord.ErrFenced, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, other) {
			return false
		}
	}
	_, byRequest := errors.AsType[stopped](err)
	return !byRequest && errors.Is(err, coord.ErrIncomplete)
}

// began is when a round was first gathered: agreed upon, so that a slice more does not give it more time.
type began struct {
	V  int   `json:"v"`
	At int64 `json:"at"` // Unix milliseconds
}

// left is how much of the round's time is left.
func (g *gatherCmd) left(l *link) (time.Duration, error) {
	desk := &work.Desk{
		Store: l.store, Space: keys.In(l.app.Namespace), Ring: l.ring, Times: work.DefaultTimes, Now: time.Now,
		Pause: func(ctx context.Context, _ int) error { pause(ctx, retryPause); return context.Cause(ctx) },
	}
	ctx, cancel := context.WithTimeoutCause(l.app.ctx, g.Timeout, coord.ErrTimeout)
	defer cancel()
	now, err := json.Marshal(began{1, time.Now().UnixMilli()})
	if err != nil {
		return 0, err
	}
	raw, _, err := desk.Decide(ctx, desk.Space.RoundBegan(g.ID, g.Round), desk.Times.Epoch, now)
	if err != nil {
		return 0, err
	}
	var b began
	err = json.Unmarshal(raw, &b)
	return max(0, g.Timeout-time.Since(time.UnixMilli(b.At))), err
}

// roundSoFar is a round in JSON.
type roundSoFar struct {
	Event    string       `json:"event"`
	Round    string       `json:"round"`
	Settled  bool         `json:"settled"`  // running it again changes nothing
	Complete bool         `json:"complete"` // there are enough answers
	Members  []memberLine `json:"members"`
}

type memberLine struct {
	ID     string  `json:"id"`
	State  string  `json:"state"`
	Reason string  `json:"reason,omitempty"`
	Answer *string `json:"answer,omitempty"`
	Base64 []byte  `json:"answerBase64,omitempty"`
}

func told(r *coord.Round[[]byte], complete, ended bool) roundSoFar {
	v := roundSoFar{Event: "round", Round: r.ID(), Settled: ended, Complete: complete}
	for _, m := range r.Members() {
		line := memberLine{ID: m.ID, State: string(m.State), Reason: m.Reason}
		if m.State == coord.MemberSilent && !ended {
			line.State, line.Reason = string(coord.MemberOpen), ""
		}
		if answer, ok := r.Answer(m.ID); ok {
			if c := contentOf(answer); c.Base64 == nil {
				line.Answer = &c.Text
			} else {
				line.Base64 = c.Base64
			}
		}
		v.Members = append(v.Members, line)
	}
	return v
}

// asItIs is a codec for bytes.
type asItIs struct{}

func (asItIs) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no bytes", v)
	}
	return b, nil
}

func (asItIs) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no place for bytes", v)
	}
	*b = slices.Clone(data)
	return nil
}
