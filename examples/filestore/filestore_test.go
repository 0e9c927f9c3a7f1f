//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/conformance"
	"github.com/blocking-coordination/coord/examples/filestore"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func TestConformance(t *testing.T) { conformance.Run(t, instance) }

func TestProtocol(t *testing.T) { conformance.RunProtocol(t, instance) }

func instance(tb testing.TB) conformance.Instance {
	dir, clock := directory(tb), memstore.NewFakeClock(time.Time{})
	open := func() store.Store { return open(tb, dir, clock) }
	return conformance.Instance{Store: open(), Advance: clock.Advance, Reopen: open}
}

// directory is in memory where the system has a place for that: the suites ask for much, and not how fast the disk is.
func directory(tb testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "filestore")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
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

// A file that is damaged counts as missing: its key can be written again, and an audit shows the others.
func TestADamagedFileHarmsNobodyElse(t *testing.T) {
	for name, damage := range map[string][]byte{"empty": nil, "torn": []byte(`{"Alive":true,"Key":"aw`)} {
		dir := t.TempDir()
		s := open(t, dir, store.SystemClock)
		must(t, s.SetEX(t.Context(), "damaged", []byte("v"), time.Minute))
		files, err := filepath.Glob(filepath.Join(dir, "*.key"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		must(t, os.WriteFile(files[0], damage, 0o600))
		must(t, s.SetEX(t.Context(), "whole", nil, time.Minute))
		if keys, err := s.Keys(t.Context(), ""); err != nil || !slices.Equal(keys, []string{"whole"}) {
			t.Errorf("%s: Keys = %q, %v", name, keys, err)
		}
		if _, err := s.Get(t.Context(), "damaged"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Get: %v, want %v", name, err, store.ErrNotFound)
		}
		if n, err := s.Incr(t.Context(), "damaged"); n != 1 || err != nil {
			t.Errorf("%s: Incr = %d, %v", name, n, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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
