package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

type monitorCmd struct {
	Once        bool   `help:"Look once and list who is known. One look cannot measure silence, so it warns about nobody; it goes on with what those have left who are dead already."`
	Spawn       string `placeholder:"CMD" help:"Run CMD (sh -c) for a unit that has no heir: COORD_UNIT, COORD_EPOCH, COORD_DEAD, COORD_SELF, COORD_CHECKPOINT in its environment, the payload on stdin; what it prints is the result, if it succeeds. If coord is killed with SIGKILL, on Linux so is sh, but not what that has started: begin CMD with exec."`
	SpawnMax    int    `default:"16" help:"How many of these run at once."`
	MetricsAddr string `placeholder:"HOST:PORT" help:"Serve Prometheus metrics at http://HOST:PORT/metrics."`
}

// Validate is called by kong.
func (m *monitorCmd) Validate() error {
	if m.SpawnMax < 1 {
		return errors.New("--spawn-max must be positive")
	}
	return nil
}

// Run watches until it is asked to stop.
func (m *monitorCmd) Run(a *app) error {
	watchers, stop, err := a.serveMetrics(m.MetricsAddr)
	if err != nil {
		return err
	}
	defer stop()
	l, err := a.connect(append(watchers, &bulletin{app: a})...)
	if err != nil {
		return err
	}
	crew := &crew{link: l, command: m.Spawn, room: m.SpawnMax}
	err = m.watch(l, l.client.Monitor(crew.options()...))
	crew.jobs.Wait()
	l.close()
	if _, byRequest := errors.AsType[stopped](err); byRequest {
		return nil
	}
	return err
}

func (m *monitorCmd) watch(l *link, watch *coord.Monitor) error {
	if m.Once {
		return look(l, watch)
	}
	low, high := l.app.policy().Bounds()
	l.narrator.say("watching %q: a death is detected between %s and %s after the last heartbeat", l.app.Namespace, human(low), human(high))
	return watch.Run(l.app.ctx)
}

// look is a single pass and what it saw.
func look(l *link, watch *coord.Monitor) error {
	ctx, cancel := context.WithTimeout(l.app.ctx, lookTime)
	defer cancel()
	began := time.Now()
	if err := watch.Check(ctx); err != nil {
		down := l.client.Ping(ctx)
		switch {
		case down == nil || l.app.ctx.Err() != nil:
			return err
		case errors.Is(down, store.ErrDenied): // that is an answer
			return down
		}
		return l.app.unanswered(time.Since(began).Round(time.Millisecond), cmp.Or(l.narrator.lastFailure(), down))
	}
	heading := []string{"ID", "INCARNATION", "STATE", "WARNINGS"}
	return table(l.app, heading, healthRows(watch.Health()), healthRow.cells)
}

const lookTime = 30 * time.Second // for a single pass, however many are dead

// healthRow is a line of monitor --once.
type healthRow struct {
	Event       string `json:"event"`
	ID          string `json:"id"`
	Incarnation int64  `json:"incarnation"`
	State       string `json:"state"`
	Warnings    int    `json:"warnings"`
}

func healthRows(all []coord.Health) (rows []healthRow) {
	for _, h := range all {
		rows = append(rows, healthRow{"health", h.ID, h.Incarnation, h.State, h.Warnings})
	}
	return rows
}

func (r healthRow) cells() []string {
	return []string{r.ID, strconv.FormatInt(r.Incarnation, 10), r.State, strconv.Itoa(r.Warnings)}
}

// silent is how long somebody was silent: from ten seconds on, fractions say nothing.
func silent(d time.Duration) string {
	if d < 10*time.Second {
		return d.Truncate(100 * time.Millisecond).String()
	}
	return d.Truncate(time.Second).String()
}

// verdictRow is a warning, a recovery or a death in JSON.
type verdictRow struct {
	Event       string `json:"event"`
	ID          string `json:"id"`
	Incarnation int64  `json:"incarnation"`
	Warning     int    `json:"warning,omitempty"`
	Of          int    `json:"of,omitempty"`
	SilentMs    int64  `json:"silentMs,omitempty"`
}

// workRow is what became of a unit of work, in JSON.
type workRow struct {
	Event string `json:"event"`
	Unit  string `json:"unit"`
	Epoch int64  `json:"epoch"`
	From  string `json:"from,omitempty"`
	Owner string `json:"owner"`
}

// describe is an event that a monitor prints, for people and for programs; nil for the others.
func describe(e coord.Event) (text string, v any) {
	switch e := e.(type) {
	case coord.Warned:
		return fmt.Sprintf("Warning %d/%d for %s: silent for %s", e.K, e.Of, e.ID, silent(e.Silent)),
			verdictRow{"warning", e.ID, e.Incarnation, e.K, e.Of, e.Silent.Milliseconds()}
	case coord.Recovered:
		return "Recovered: " + e.ID, verdictRow{Event: "recovered", ID: e.ID, Incarnation: e.Incarnation}
	case coord.Dead:
		return "Dead coordinator detected: " + e.ID,
			verdictRow{Event: "dead", ID: e.ID, Incarnation: e.Incarnation, SilentMs: e.Silent.Milliseconds()}
	case coord.WorkHandedOver:
		return fmt.Sprintf("Work %s handed over from %s to %s, epoch %d", e.Unit, e.From, e.To, e.Epoch),
			workRow{"handed-over", e.Unit, e.Epoch, e.From, e.To}
	case coord.WorkDone:
		return fmt.Sprintf("Work %s done by %s, epoch %d", e.Unit, e.Owner, e.Epoch),
			workRow{Event: "done", Unit: e.Unit, Epoch: e.Epoch, Owner: e.Owner}
	}
	return "", nil
}
