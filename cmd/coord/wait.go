package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

type waitCmd struct {
	ID      string        `required:"" help:"The name to wait under; a process that runs under it is superseded, and that is said."`
	Name    string        `help:"The name of this wait, for one signal: who waits again under it goes on with its time, or is told the signal that ended it."`
	From    []string      `help:"Take signals from these coordinators only; others stay."`
	Type    []string      `help:"Take signals of these types only; others stay."`
	Timeout time.Duration `default:"10m" help:"How long to wait; with --name, from the first time under that name. 0 looks once."`
	Slice   time.Duration `help:"Block for this long at most, and no less than a second, and two seconds more if the store stops answering meanwhile: exit code 75 means that nothing has come yet and nothing was consumed; run the same again. So it does while the store does not answer, which is said. Needs --name."`
}

// Help is shown by --help.
func (*waitCmd) Help() string {
	return "The signal is printed as JSON, and acknowledged after that. Who is killed in between is told it again: under " +
		"the same --name always that one, for 30 days, which is then acknowledged; without a name by the next wait, with " +
		"the same id. Without --type it may take the question of a round: its acknowledgement counts as an empty answer."
}

// Validate is called by kong.
func (w *waitCmd) Validate() error {
	err := errors.Join(checkID("--id", w.ID), checkID("--name", w.Name))
	for _, id := range w.From {
		err = errors.Join(err, checkID("--from", id))
	}
	for _, typ := range w.Type {
		err = errors.Join(err, checkID("--type", typ))
	}
	if err == nil && w.Slice > 0 && w.Name == "" {
		err = errors.New("--slice needs --name, or each slice would be a wait of its own")
	}
	return err
}

// errDone: what was waited for has come, to another run.
var errDone = errors.New("done")

const lastLook = time.Second // to see what stands there, when the time is over

// Run waits, and leaves in good order however the wait ended.
func (w *waitCmd) Run(a *app) error {
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	t, stop := l.turn(w.Timeout, w.Slice)
	defer stop()
	p := &awaiting{waitCmd: w, turn: t}
	if err := p.before(); err != nil || p.told {
		return err
	}
	me, err := t.joinAloud(w.ID)
	if err != nil {
		return err
	}
	return l.leave(me, p.wait(me))
}

// awaiting is one run of it.
type awaiting struct {
	*waitCmd
	*turn
	ended *received // the signal that has ended the wait of that name, in an earlier run
	told  bool      // it was printed
	end   context.CancelCauseFunc
}

func (p *awaiting) agreement() keys.Decide { return keys.In(p.app.Namespace).Awaited(p.ID, p.Name) }

// before tells what has ended this wait in an earlier run. Where that run did not live to acknowledge it, told is false:
// this one has to.
func (p *awaiting) before() error {
	if p.Name == "" {
		return nil
	}
	raw, found, err := p.desk().Decided(p.ctx, p.agreement())
	if !found || err != nil {
		return p.explained(err)
	}
	p.ended = &received{}
	if err := json.Unmarshal(raw, p.ended); err != nil {
		return err
	}
	value, err := p.store.Get(p.ctx, keys.In(p.app.Namespace).Ack(p.ended.From, p.ended.ID))
	if err != nil {
		return nil // it is told when it is acknowledged
	}
	_, bad := envelope.OpenAck(p.ring, p.ended.From, p.ended.ID, value)
	p.told = bad == nil
	if p.told {
		return writeJSON(p.app.out, p.ended)
	}
	return nil
}

func (p *awaiting) wait(me *coord.Coordinator) error {
	within, last, err := p.rest(p.Timeout), true, error(nil)
	if p.Name != "" {
		within, last, err = p.left(keys.In(p.app.Namespace).AwaitBegan(p.ID, p.Name))
	}
	if err != nil {
		return err
	}
	if p.ended != nil {
		within = lastLook // for the acknowledgement; the signal itself may be gone
	}
	ctx, cancel := context.WithTimeoutCause(p.app.ctx, max(within, lastLook), coord.ErrTimeout)
	defer cancel()
	ctx, p.end = context.WithCancelCause(ctx)
	defer p.end(nil)
	err = me.Serve(ctx, p.handle, coord.From(p.From...), coord.OfType(p.Type...), coord.Once())
	if p.ended != nil && !p.told && errors.Is(err, coord.ErrTimeout) {
		return writeJSON(p.app.out, p.ended)
	}
	return p.verdict(err, last)
}

// handle prints the signal that ends the wait, and has it acknowledged after that. Everything else stays.
func (p *awaiting) handle(ctx context.Context, s *coord.Signal) ([]byte, error) {
	ended, err := p.settle(ctx, receivedOf(s))
	if err != nil || p.ended != nil && ended.ID != s.ID {
		return nil, coord.ErrLater
	}
	if err := writeJSON(p.app.until(ctx).out, ended); err != nil {
		p.end(err)
		return nil, coord.ErrLater
	}
	p.told = true
	if ended.ID != s.ID { // another run of this wait was given another one
		p.end(errDone)
		return nil, coord.ErrLater
	}
	return nil, nil
}

// settle agrees upon the signal that ends the wait of this name.
func (p *awaiting) settle(ctx context.Context, r received) (received, error) {
	switch {
	case p.ended != nil:
		return *p.ended, nil
	case p.Name == "":
		return r, nil
	}
	proposed, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	desk := p.desk()
	raw, _, err := desk.Decide(ctx, p.agreement(), desk.Times.Epoch, proposed)
	if err != nil {
		return r, err
	}
	r = received{}
	return r, json.Unmarshal(raw, &r)
}

// verdict translates how the wait ended.
func (p *awaiting) verdict(err error, last bool) error {
	switch {
	case err == nil, p.told: // W1: whatever has ended meanwhile
		return nil
	case !errors.Is(err, coord.ErrTimeout):
		return err
	case !last || p.Timeout == 0:
		return &failure{code: exitWaiting, line: "no signal yet: still waiting", cause: err, bare: true}
	}
	line := fmt.Sprintf("timeout waiting for signal after %s", human(p.Timeout))
	return &failure{code: exitTimeout, line: line, cause: err, bare: true}
}
