//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/examples/filestore"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(tb testing.TB) conformance.Instance {
		dir, clock := tb.TempDir(), memstore.NewFakeClock(time.Time{})
		open := func() store.Store { return open(tb, dir, clock) }
		return conformance.Instance{Store: open(), Advance: clock.Advance, Reopen: open}
	})
}

func open(tb testing.TB, dir string, clock store.Clock) store.Store {
	tb.Helper()
	s, err := filestore.Open(dir, clock)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

const (
	processes = 4
	each      = 50
)

// Processes share a counter, and none of them loses a number.
func TestProcessesShareACounter(t *testing.T) {
	if dir := os.Getenv("FILESTORE_TEST_DIR"); dir != "" {
		count(t, dir)
		return
	}
	dir := t.TempDir()
	var group sync.WaitGroup
	for range processes {
		group.Go(func() { runAgain(t, dir) })
	}
	group.Wait()
	n, err := open(t, dir, store.SystemClock).Get(t.Context(), "n")
	if want := strconv.Itoa(processes * each); err != nil || string(n) != want {
		t.Errorf("the counter shows %s, %v; want %s", n, err, want)
	}
}

// runAgain runs this test in another process, which finds the directory in its environment and counts.
func runAgain(t *testing.T, dir string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesShareACounter$")
	cmd.Env = append(os.Environ(), "FILESTORE_TEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func count(t *testing.T, dir string) {
	s := open(t, dir, store.SystemClock)
	for range each {
		if _, err := s.Incr(t.Context(), "n"); err != nil {
			t.Fatal(err)
		}
	}
}

// The files of the dead go with the next audit.
func TestKeysRemovesTheDead(t *testing.T) {
	dir, clock := t.TempDir(), memstore.NewFakeClock(time.Time{})
	s := open(t, dir, clock)
	if err := s.SetEX(t.Context(), "k", nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	if _, err := s.Keys(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 { // the lock remains
		t.Errorf("%v, %v", files, err)
	}
}
