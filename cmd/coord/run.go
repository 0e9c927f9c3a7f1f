package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
)

type runCmd struct {
	ID          string         `required:"" help:"The name to join under."`
	Timeout     *time.Duration `help:"How long to block: 600s, or bare milliseconds; 0 looks once (default 600s, none with --forever)."`
	Forever     bool           `help:"Take signal after signal, until SIGTERM or --timeout."`
	Type        []string       `help:"Take signals of these types only; others stay."`
	From        []string       `help:"Take signals from these coordinators only; others stay."`
	Work        bool           `help:"Take units of work instead of signals, until SIGTERM or --timeout: those that are handed over, and those without an owner."`
	Exec        string         `placeholder:"CMD" help:"With --work: run CMD (sh -c) for each unit: COORD_UNIT, COORD_EPOCH, COORD_SELF, COORD_CHECKPOINT in its environment, the payload on stdin; what it prints is the result. What it leaves in the background is killed when it has ended, on Unix. If it fails, the unit stays with this coordinator until that leaves. What it writes to COORD_CHECKPOINT_FILE is its checkpoint, up to 1 MiB; write another file and rename it. If coord is killed with SIGKILL, on Linux so is sh, but not what that has started: begin CMD with exec."`
	Claim       int            `default:"1" help:"With --work: take up to N units without an owner at a time."`
	MetricsAddr string         `placeholder:"HOST:PORT" help:"Serve Prometheus metrics at http://HOST:PORT/metrics."`
}

// unbounded is longer than any process runs.
const unbounded = 100 * 365 * 24 * time.Hour

// Validate is called by kong.
func (r *runCmd) Validate() error {
	err := checkID("--id", r.ID)
	for _, t := range r.Type {
		err = errors.Join(err, checkID("--type", t))
	}
	for _, f := range r.From {
		err = errors.Join(err, checkID("--from", f))
	}
	return errors.Join(err, r.checkWork())
}

func (r *runCmd) timeout() time.Duration {
	switch {
	case r.Timeout != nil:
		return *r.Timeout
	case r.Forever, r.Work:
		return unbounded
	}
	return coord.DefaultTimeout
}

// Run joins, waits, and leaves in good order however the wait ended.
func (r *runCmd) Run(a *app) error {
	watchers, stop, err := a.serveMetrics(r.MetricsAddr)
	if err != nil {
		return err
	}
	defer stop()
	if r.Work {
		watchers = append(watchers, &bulletin{app: a})
	}
	l, err := a.connect(watchers...)
	if err != nil {
		return err
	}
	defer l.close()
	began := time.Now()
	me, err := l.join(r.ID, r.timeout())
	if err != nil {
		return err
	}
	l.narrator.say("%s joined (incarnation %d), %s", r.ID, me.Incarnation(), r.bound())
	defer l.watchSlot(me)()
	return l.leave(me, r.verdict(r.explain(l, r.work(a, me, began))))
}

func (r *runCmd) bound() string {
	switch r.timeout() {
	case unbounded:
		if r.Work {
			return "taking work"
		}
		return "waiting for signals"
	case 0:
		return "looking once"
	}
	return "waiting up to " + human(r.timeout())
}

func (r *runCmd) work(a *app, me *coord.Coordinator, began time.Time) error {
	if r.Work {
		return r.labour(a, me, began)
	}
	opts := []coord.Option{coord.OfType(r.Type...), coord.From(r.From...)}
	if r.Forever {
		return r.serve(a, me, began, opts...)
	}
	return r.serve(a, me, began, append(opts, coord.Once())...)
}

// explain says of a timeout whether the store is silent, too.
func (r *runCmd) explain(l *link, err error) error {
	if r.Forever || r.Work || !errors.Is(err, coord.ErrTimeout) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastLook)
	defer cancel()
	if l.client.Ping(ctx) == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("%w: the store does not answer", coord.ErrUnavailable))
}

// serve prints each signal before it is acknowledged, so that neither a crash in between nor a full disk loses one.
func (r *runCmd) serve(a *app, me *coord.Coordinator, began time.Time, opts ...coord.Option) error {
	left := max(r.timeout()-time.Since(began), lastLook)
	ctx, cancel := context.WithTimeoutCause(a.ctx, left, coord.ErrTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	return me.Serve(ctx, func(ctx context.Context, s *coord.Signal) ([]byte, error) {
		if err := a.until(ctx).saySignal(s); err != nil {
			end(err)
			return nil, coord.ErrLater
		}
		return nil, nil
	}, opts...)
}

// verdict translates how the wait ended.
func (r *runCmd) verdict(err error) error {
	_, byRequest := errors.AsType[stopped](err)
	switch {
	case byRequest && (r.Forever || r.Work), r.Work && errors.Is(err, coord.ErrTimeout):
		return nil
	case !errors.Is(err, coord.ErrTimeout):
		return err
	case errors.Is(err, coord.ErrUnavailable):
		return err
	case r.timeout() == 0:
		return &failure{code: exitWaiting, line: "no signal yet: still waiting", cause: err, bare: true}
	}
	return &failure{code: exitTimeout, line: "timeout waiting for signal after " + human(r.timeout()), cause: err, bare: true}
}

// received is a signal in JSON.
type received struct {
	Event  string    `json:"event"`
	Type   string    `json:"type"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	ID     string    `json:"id"`
	SentAt time.Time `json:"sentAt"`
	Legacy bool      `json:"legacy,omitempty"`
	content
}

func (a *app) saySignal(s *coord.Signal) error {
	text := fmt.Sprintf("Signal received: %s from %s%s", s.Type, s.From, quoted("payload", s.Payload))
	return a.say(text, receivedOf(s))
}

func receivedOf(s *coord.Signal) received {
	return received{
		Event: "signal", Type: s.Type, From: s.From, To: s.To, ID: s.ID, SentAt: s.SentAt, Legacy: s.Legacy,
		content: contentOf(s.Payload),
	}
}
