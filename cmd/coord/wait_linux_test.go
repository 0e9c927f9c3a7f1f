package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Killed between printing and acknowledging: it is told again with the same id, and only then acknowledged.
func TestWaitKilledWhilePrinting(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "w-1"} {
		t.Run("named "+name, func(t *testing.T) {
			t.Parallel()
			u, _ := onRedis(t)
			long := bytes.Repeat([]byte("x"), 50_000) // more than the pipe takes
			var senders []*process
			for range 2 {
				senders = append(senders, u.startWith(long, "send", "--from", "a", "--to", "b", "--payload", "-", "--timeout", "60s"))
			}
			args := []string{"wait", "--id", "b"}
			if name != "" {
				args = append(args, "--name", name)
			}
			id := killedWhilePrinting(t, u, args)
			for _, s := range senders {
				select {
				case <-s.gone:
					t.Fatalf("acknowledged before it was told: %s", &s.out)
				default:
				}
			}
			if r := signalIn(t, u.must(args...)); r.ID != id || r.Text != string(long) {
				t.Errorf("it is told %s of %d bytes, and was told %s", r.ID, len(r.Text), id)
			}
			if r := signalIn(t, u.must("wait", "--id", "b", "--name", "next")); r.ID == id {
				t.Error("it is told to the next wait, too")
			}
			for _, s := range senders {
				expect(t, s.code(t), 0, fmt.Sprint(strings.HasPrefix(s.out.String(), "ACK from b")), "true")
			}
		})
	}
}

// killedWhilePrinting kills a wait whose output nobody reads to the end, and returns the id of the signal in it.
func killedWhilePrinting(t *testing.T, u *user, args []string) (id string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const setPipeSize = 1031 // F_SETPIPE_SZ
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, 4096); errno != 0 {
		t.Fatal(errno)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stdout = u.env, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	head := make([]byte, 256)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	_ = r.Close()
	_, rest, _ := bytes.Cut(head, []byte(`"id":`))
	if err := json.NewDecoder(bytes.NewReader(rest)).Decode(&id); err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return id
}
