package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blocking-coordination/coord/internal/keys"
)

// narrow is a pipe that takes hardly anything while nobody reads it.
func narrow(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	const setPipeSize = 1031 // F_SETPIPE_SZ
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, 4096); errno != 0 {
		t.Fatal(errno)
	}
	return r, w
}

// startOn starts a command whose streams are those, where they are not nil.
func (u *user) startOn(in, out, err *os.File, args ...string) *process {
	u.t.Helper()
	p := &process{cmd: exec.Command(binary, args...), gone: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = u.env, &p.out, &p.err
	if in != nil {
		p.cmd.Stdin = in
	}
	if out != nil {
		p.cmd.Stdout = out
	}
	if err != nil {
		p.cmd.Stderr = err
	}
	if err := p.cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	u.t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.gone })
	return p
}

// A stderr that nobody reads holds up neither the signals nor the end.
func TestUnreadStderr(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	box, st := keys.In("blocking").Mailbox("vic"), raw(t, server.URL())
	for i := range 300 { // each of which is refused aloud
		if err := st.SetEX(t.Context(), box.Entry(int64(i+1)), []byte("garbage"), soon); err != nil {
			t.Fatal(err)
		}
	}
	setex(t, server.URL(), box.Tail, "300")
	_, stderr := narrow(t)
	p := u.startOn(nil, nil, stderr, "run", "--id", "vic", "--forever", "--timeout", "1h")
	u.must("send", "--from", "a", "--to", "vic", "--timeout", "30s")
	p.signal(t, syscall.SIGTERM)
	expect(t, p.code(t), 0, p.out.String(), "Signal received: wake from a\n")
}

var runs = map[string][]string{
	"one":              {"run", "--id", "b"},
	"one of a type":    {"run", "--id", "b", "--type", "wake"},
	"forever":          {"run", "--id", "b", "--forever"},
	"forever filtered": {"run", "--id", "b", "--forever", "--from", "a"},
}

// What cannot be printed is not acknowledged, and comes again.
func TestOutputThatFails(t *testing.T) {
	t.Parallel()
	for name, args := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _ := onRedis(t)
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			defer func() { _ = full.Close() }()
			u.must("send", "--from", "a", "--to", "b", "--no-wait")
			expect(t, u.startOn(nil, full, nil, args...).code(t), exitError, "", "")
			expect(t, 0, 0, u.must("run", "--id", "b", "--timeout", "30s"), "Signal received: wake from a\n")
		})
	}
}

// Nor is what nobody reads, and neither the first SIGTERM nor the timeout waits for a reader.
func TestUnreadStdout(t *testing.T) {
	t.Parallel()
	for name, args := range runs {
		for _, timeout := range []string{"1h", "2s"} {
			t.Run(name+" "+timeout, func(t *testing.T) {
				t.Parallel()
				u, _ := onRedis(t)
				long := strings.Repeat("x", 50_000)
				u.must("send", "--from", "a", "--to", "b", "--payload", long, "--no-wait")
				r, w := narrow(t)
				p := u.startOn(nil, w, nil, append(args, "--timeout", timeout)...)
				if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
				want := exitTimeout
				if timeout == "1h" {
					p.signal(t, syscall.SIGTERM)
					want = map[bool]int{true: 0, false: 143}[strings.HasPrefix(name, "forever")]
				}
				expect(t, p.code(t), want, "", "")
				expect(t, 0, 0, u.must("run", "--id", "b", "--timeout", "30s"),
					fmt.Sprintf("Signal received: wake from a, payload %q\n", long))
			})
		}
	}
}

// Who reads its payload from where nothing comes ends with the first SIGTERM.
func TestStoppedWhileReadingThePayload(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	for _, args := range [][]string{
		{"send", "--from", "a", "--to", "b"}, {"gather", "--id", "a", "--round", "r", "--to", "b"}, {"work", "add", "unit"},
	} {
		t.Run(args[0], func(t *testing.T) {
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			p := u.start(append(args, "--payload", "@"+fifo)...)
			w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // it has opened it, too
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.Close() }()
			endsBySIGTERM(t, p)
			r, stdin := narrow(t)
			p = u.startOn(r, nil, nil, append(args, "--payload", "-")...)
			if _, err := stdin.Write(make([]byte, 8192)); err != nil { // it has read the first of it
				t.Fatal(err)
			}
			endsBySIGTERM(t, p)
		})
	}
}

func endsBySIGTERM(t *testing.T, p *process) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.code(t); code != 143 || p.err.String() != "coord: stopped by SIGTERM\n" {
		t.Errorf("%v: exit code %d, stderr %q", p.cmd.Args, code, &p.err)
	}
}

// What a command has left in the background does not outlive the end of its unit.
func TestWhatACommandLeavesBehindEndsWithIt(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	u.env = append(u.env, "FIFO="+fifo)
	u.must("work", "add", "unit")
	u.start("run", "--id", "w", "--work", "--exec",
		`exec 3>"$FIFO"; sleep 100 >/dev/null 2>&1 & echo $! >&3; echo result`)
	r, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var pid int
	if _, err := fmt.Fscanln(r, &pid); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if out := u.must("work", "show", "unit"); !strings.Contains(out, "result") {
			return fmt.Errorf("not done: %s", out)
		}
		return nil
	})
	eventually(t, func() error { // killed; its parent buries it later
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			return fmt.Errorf("it lives: %s", stat)
		}
		return nil
	})
}
