package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// workerEnv makes the test binary a coordinator of that name: it accepts unitsEnv units, says "ready", finishes what it
// inherits at once, and appends a line "unit epoch owner" to the file logEnv for each commit. With paceEnv it finishes one
// of its own units each time that this has passed; without, it tries to finish the first one when a line comes on stdin,
// and says how that ended.
const (
	workerEnv = "COORD_TEST_WORKER"
	unitsEnv  = "COORD_TEST_UNITS"
	logEnv    = "COORD_TEST_LOG"
	paceEnv   = "COORD_TEST_PACE"
)

// steady finds a death within four seconds.
var steady = coord.Policy{
	Beat: 200 * time.Millisecond, TTL: 2 * time.Second, Stale: 2 * time.Second, Warnings: 3,
	Spacing: 400 * time.Millisecond, Window: time.Minute, Check: 200 * time.Millisecond,
}

// hand is a coordinator in a process of its own.
type hand struct {
	me  *coord.Coordinator
	log *os.File
}

func labourUntilKilled() int {
	if err := toil(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func toil(ctx context.Context) error {
	log, err := os.OpenFile(os.Getenv(logEnv), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	pace, _ := time.ParseDuration(os.Getenv(paceEnv))
	policy := steady
	if pace > 0 {
		policy = coord.FastPolicy()
	}
	c, err := clientOf(ctx, os.Getenv(storeEnv), policy)
	if err != nil {
		return err
	}
	me, err := c.Join(ctx, os.Getenv(workerEnv))
	if err != nil {
		return err
	}
	h := &hand{me, log}
	tasks, err := h.accept(ctx)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if pace > 0 {
		return h.finishAll(ctx, tasks, pace)
	}
	return h.finishWhenAsked(ctx, tasks[0])
}

func clientOf(ctx context.Context, url string, policy coord.Policy, watchers ...coord.Observer) (*coord.Client, error) {
	st, err := redisstore.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	return coord.Open(breaker.Wrap(st), coord.Config{
		Secret: []byte(testSecret), Policy: policy, Observer: coord.Observers(watchers...),
	})
}

func (h *hand) accept(ctx context.Context) (tasks []*coord.Task, err error) {
	n, err := strconv.Atoi(os.Getenv(unitsEnv))
	for i := 0; i < n && err == nil; i++ {
		var t *coord.Task
		t, err = h.me.Accept(ctx, coord.Work{ID: fmt.Sprintf("%s-unit-%d", h.me.ID(), i)})
		tasks = append(tasks, t)
	}
	return tasks, err
}

func (h *hand) finish(ctx context.Context, t *coord.Task) error {
	err := t.Done(ctx, []byte(h.me.ID()))
	if err == nil {
		_, err = fmt.Fprintf(h.log, "%s %d %s\n", t.ID(), t.Epoch(), h.me.ID())
	}
	return err
}

func (h *hand) finishAll(ctx context.Context, tasks []*coord.Task, pace time.Duration) error {
	if err := h.me.OnTakeOver(h.finish); err != nil {
		return err
	}
	for _, t := range tasks {
		pause(ctx, pace)
		if err := h.finish(ctx, t); err != nil {
			return err
		}
	}
	<-ctx.Done() // until it is killed
	return nil
}

func (h *hand) finishWhenAsked(ctx context.Context, t *coord.Task) error {
	if !bufio.NewScanner(os.Stdin).Scan() {
		return errors.New("nobody asked")
	}
	err := h.finish(ctx, t)
	fmt.Printf("commit: fenced=%v, %v\n", errors.Is(err, coord.ErrFenced), err)
	return nil
}

// startHand starts a hand; closing its stdin, or a line to it, asks it to finish.
func startHand(t *testing.T, id, url, log string, units int, pace time.Duration) (*process, *os.File) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, ask, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+id, storeEnv+"="+url, logEnv+"="+log,
		unitsEnv+"="+strconv.Itoa(units), paceEnv+"="+pace.String())
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_, _ = p.cmd.Process.Kill(), ask.Close()
		<-p.gone
		if t.Failed() {
			t.Logf("%s: %v\n%s%s", id, p.cmd.ProcessState, &p.out, &p.err)
		}
	})
	return p, ask
}

func logFile(t *testing.T) string { return filepath.Join(t.TempDir(), "commits") }
