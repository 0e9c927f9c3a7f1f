package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Killed with SIGKILL, it leaves behind neither its shell nor what that has replaced itself by.
func TestACommandDiesWithCoord(t *testing.T) {
	t.Parallel()
	for form, command := range map[string]string{
		"exec":  `echo running as $$ >&2; exec cat "$FIFO"`,
		"shell": `echo running as $$ >&2; read line <"$FIFO"`,
	} {
		for name, args := range map[string][]string{
			"serve": {"serve", "--id", "v", "--exec", command},
			"work":  {"run", "--id", "v", "--work", "--exec", command},
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				u, _ := onRedis(t)
				fifo := filepath.Join(t.TempDir(), "fifo") // which nobody writes to
				if err := syscall.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
				u.env = append(u.env, "FIFO="+fifo)
				u.must("send", "--from", "a", "--to", "v", "--no-wait")
				u.must("work", "add", "unit")
				diesWithIt(t, u, args)
			})
		}
	}
}

// diesWithIt kills coord while its command runs, and then waits for the end of their stderr, which comes when nobody has
// it any more.
func diesWithIt(t *testing.T, u *user, args []string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stderr = u.env, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	_ = r.SetReadDeadline(time.Now().Add(soon))
	stderr := bufio.NewReader(r)
	pid, err := running(stderr)
	_, _ = cmd.Process.Kill(), cmd.Wait()
	if err != nil {
		t.Fatalf("the command does not run: %v", err)
	}
	if _, err := io.Copy(io.Discard, stderr); err != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		t.Fatalf("the command outlives coord: %v", err)
	}
}

// running waits until the command says so, and returns its process.
func running(stderr *bufio.Reader) (pid int, err error) {
	for pid == 0 && err == nil {
		var line string
		line, err = stderr.ReadString('\n')
		_, _ = fmt.Sscanf(line, "running as %d\n", &pid)
	}
	return pid, err
}
