package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/blocking-coordination/coord"
)

// checkpointFile is how a command writes checkpoints: it holds the last one, and whatever replaces its content becomes
// the next. A new time of modification alone says that there is progress. A command that writes more than a few bytes
// should write another file and rename it, so that nothing half-written is taken.
type checkpointFile struct {
	task     *coord.Task
	narrator *narrator
	dir      string
	last     []byte
	seen     time.Time // when it was last modified
	refused  bool      // it was said that it is too large
}

const checkpointPoll = time.Second

func newCheckpointFile(ctx context.Context, t *coord.Task, n *narrator) (*checkpointFile, error) {
	last, err := t.LastCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "coord-unit-")
	if err != nil {
		return nil, err
	}
	f := &checkpointFile{task: t, narrator: n, dir: dir, last: last}
	if err := os.WriteFile(f.name(), last, 0o600); err != nil {
		f.remove()
		return nil, err
	}
	if info, err := os.Stat(f.name()); err == nil {
		f.seen = info.ModTime()
	}
	return f, nil
}

func (f *checkpointFile) name() string { return filepath.Join(f.dir, "checkpoint") }

func (f *checkpointFile) remove() { _ = os.RemoveAll(f.dir) }

func (f *checkpointFile) env() []string {
	return []string{"COORD_CHECKPOINT=" + asText(f.last), "COORD_CHECKPOINT_FILE=" + f.name()}
}

// follow takes what the command writes, until stop is called or ctx ends.
func (f *checkpointFile) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			pause(ctx, checkpointPoll)
			f.look(ctx)
		}
	}()
	return func() { cancel(); <-done }
}

// look makes a changed content a checkpoint; it compares contents, since times of modification are coarse. What fails is
// tried again at the next look. What is too much is said once, and counts as progress alone.
func (f *checkpointFile) look(ctx context.Context) {
	info, err := os.Stat(f.name())
	if err != nil || ctx.Err() != nil {
		return
	}
	at := info.ModTime()
	if info.Size() > mostResult {
		f.refuse()
		f.touch(ctx, at)
		return
	}
	data, err := os.ReadFile(f.name())
	switch {
	case err != nil:
	case bytes.Equal(data, f.last):
		f.touch(ctx, at)
	case f.task.Checkpoint(ctx, data) == nil:
		f.seen, f.last = at, data
	}
}

func (f *checkpointFile) touch(ctx context.Context, at time.Time) {
	if !at.Equal(f.seen) && f.task.Touch(ctx) == nil {
		f.seen = at
	}
}

func (f *checkpointFile) refuse() {
	if !f.refused {
		f.refused = true
		f.narrator.say("unit %s, epoch %d: the checkpoint has more than %d bytes: the last one that had not stands", f.task.ID(), f.task.Epoch(), mostResult)
	}
}
