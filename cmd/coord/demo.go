package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

type demoCmd struct {
	Pace time.Duration `default:"200ms" help:"Pause after each line, for reading along; 0 for none."`
}

// scene is one part of the story. play uses the real API and returns an error if what it tells did not happen.
type scene struct {
	title string
	play  func(*stage) error
}

// scenes are told in this order.
var scenes = []scene{
	{"A signal, and its acknowledgement", sceneSignal},
	{"A signal sent before anybody waits", sceneEarly},
	{"Forged signals", sceneForged},
	{"A wait that times out, and swallows nothing", sceneTimeout},
	{"Several senders at once", sceneMany},
	{"A crash and a take-over", sceneTakeOver},
}

// stage is where a scene plays: a store that all of its coordinators share.
type stage struct {
	app     *app
	pace    time.Duration
	colored bool
	store   *memstore.Store
	secret  []byte
	clients []*coord.Client
}

// sceneResult is a scene in JSON.
type sceneResult struct {
	Event string `json:"event"`
	Scene string `json:"scene"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Run plays all scenes, and fails if one did not turn out as told.
func (d *demoCmd) Run(a *app) error {
	began := time.Now()
	stageless := &stage{app: a, pace: d.Pace, colored: isTerminal(a.raw.out)}
	stageless.tell(bold, "blocking coordination: a demonstration in memory, with a secret of its own")
	for i, sc := range scenes {
		if err := d.play(a, i, sc); err != nil {
			return fmt.Errorf("scene %d, %s: %w", i+1, sc.title, err)
		}
		if a.ctx.Err() != nil {
			return context.Cause(a.ctx)
		}
	}
	stageless.tell(green, fmt.Sprintf("\nAll %d scenes turned out as told, in %s.", len(scenes), brief(time.Since(began))))
	stageless.tell(plain, "Next, between processes: coord run --id coord-b, and in another terminal:\n"+
		"  coord send --from coord-a --to coord-b --type wake")
	return nil
}

func (d *demoCmd) play(a *app, i int, sc scene) error {
	s := &stage{app: a, pace: d.Pace, colored: isTerminal(a.raw.out), store: memstore.New(), secret: []byte(rand.Text() + rand.Text())}
	s.tell(bold, fmt.Sprintf("\n%d. %s", i+1, sc.title))
	err := sc.play(s)
	err = errors.Join(err, s.close())
	if a.Output == "json" {
		r := sceneResult{Event: "scene", Scene: sc.title, OK: err == nil}
		if err != nil {
			r.Error = err.Error()
		}
		return errors.Join(err, writeJSON(a.out, r))
	}
	return err
}

// process is what a process of its own would have: a client on the shared store.
func (s *stage) process(cfg coord.Config) (*coord.Client, error) {
	if cfg.Keys == nil {
		cfg.Secret = s.secret
	}
	c, err := coord.Open(s.store, cfg)
	if err == nil {
		s.clients = append(s.clients, c)
	}
	return c, err
}

// join is a process with one coordinator.
func (s *stage) join(id string, watch ...coord.Observer) (*coord.Coordinator, error) {
	c, err := s.process(coord.Config{Observer: coord.Observers(watch...)})
	if err != nil {
		return nil, err
	}
	return c.Join(s.app.ctx, id)
}

func (s *stage) close() error {
	var err error
	for _, c := range s.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// The colours, on a terminal only.
const (
	plain = ""
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

// say is a line of the story.
func (s *stage) say(format string, args ...any) {
	s.tell(plain, "   "+clean(fmt.Sprintf(format, args...)))
}

// seen is a line about what was checked.
func (s *stage) seen(format string, args ...any) {
	s.tell(green, " ✓ "+clean(fmt.Sprintf(format, args...)))
}

func (s *stage) tell(color, line string) {
	if s.app.Output == "json" {
		return
	}
	if s.colored && color != plain {
		line = color + line + reset
	}
	fmt.Fprintln(s.app.out, line)
	pause(s.app.ctx, s.pace)
}

// isTerminal reports whether w is one, and nobody asked for no colours.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
