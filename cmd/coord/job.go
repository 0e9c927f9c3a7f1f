package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord"
)

// job is a command that works on units of work: the payload comes on its stdin, what it prints is the result.
type job struct {
	app  *app
	line string   // for sh -c
	env  []string // besides what every command gets
}

const (
	mostResult     = 1 << 20  // bytes of a result
	mostCheckpoint = 64 << 10 // bytes of a checkpoint in the environment; the file has it whole
	dyingTime      = time.Second
)

var errTooMuch = fmt.Errorf("the result has more than %d bytes", mostResult)

// run runs the command for t until it has ended, and makes what it printed the result if it succeeded. The end of ctx
// kills it and all that it started.
func (j *job) run(ctx context.Context, t *coord.Task) error {
	file, err := newCheckpointFile(ctx, t, newNarrator(j.app.err))
	if err != nil {
		return err
	}
	defer file.remove()
	cmd := j.command(ctx, t, file)
	stop := file.follow(ctx)
	result, err := j.output(ctx, cmd)
	stop()
	if err != nil {
		file.look(ctx) // the next one goes on from there
		return err
	}
	return t.Done(ctx, result)
}

func (j *job) command(ctx context.Context, t *coord.Task, file *checkpointFile) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", j.line)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(t.Payload()), j.app.raw.err
	cmd.Env = append(os.Environ(), "COORD_UNIT="+t.ID(), "COORD_EPOCH="+strconv.FormatInt(t.Epoch(), 10))
	cmd.Env = append(append(cmd.Env, file.env()...), j.env...)
	cmd.WaitDelay = dyingTime
	return cmd
}

// runAsGroup runs cmd. It stays on one thread as long: the kernel that is to kill cmd when we die does so when the thread
// ends that has started it.
func runAsGroup(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	asGroup(cmd)
	return cmd.Run()
}

func (j *job) output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	out := &limited{most: mostResult}
	cmd.Stdout = out
	err := runAsGroup(cmd)
	endGroup(cmd) // the next epoch of the unit may begin now, and nobody else may write then
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.over:
		return nil, errTooMuch
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("the command failed: %w", err)
	}
	return out.b.Bytes(), nil
}

// limited keeps what is written to it, up to most bytes, and notes if there was more.
type limited struct {
	b    bytes.Buffer
	most int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > l.most {
		l.over = true
		return len(p), nil
	}
	return l.b.Write(p)
}

// asText is a checkpoint in the environment: empty where it cannot stand there.
func asText(b []byte) string {
	if len(b) > mostCheckpoint || bytes.IndexByte(b, 0) >= 0 {
		return ""
	}
	return strings.Clone(string(b))
}
