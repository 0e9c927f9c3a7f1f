package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// late is an output that ends what the command has of time, and takes its own.
type late struct {
	lines
	end func()
}

func (l *late) Write(p []byte) (int, error) {
	l.end()
	time.Sleep(100 * time.Millisecond) // so that the wait is over before this is
	return l.lines.Write(p)
}

// A signal that was printed and acknowledged is the outcome, though the time was over meanwhile: 75 says that nothing was
// consumed, and the caller would wait for another one.
func TestWaitIsOverWithItsSignal(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]waitCmd{"unnamed": {}, "in slices": {Name: "w", Slice: soon / 2}} {
		for _, cause := range []error{coord.ErrTimeout, stopped{syscall.SIGTERM}} {
			t.Run(name+", "+cause.Error(), func(t *testing.T) {
				t.Parallel()
				u, s := onRedis(t)
				sender := u.start("send", "--from", "a", "--to", "b", "--timeout", "60s")
				secret := filepath.Join(t.TempDir(), "secret")
				if err := os.WriteFile(secret, []byte(testSecret), 0o600); err != nil {
					t.Fatal(err)
				}
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				out := &late{end: func() { end(cause) }}
				a := &app{
					globals: globals{Store: s.URL(), Namespace: coord.DefaultNamespace, SecretFile: secret},
					streams: streams{out: out, err: new(lines)}, ctx: ctx,
				}
				w.ID, w.Timeout = "b", soon
				if err := w.Run(a); err != nil {
					t.Errorf("exit code %d: %v", codeOf(err), err)
				}
				if r := signalIn(t, out.String()); r.From != "a" {
					t.Errorf("%+v", r)
				}
				if sender.code(t) != 0 {
					t.Error("no ACK")
				}
			})
		}
	}
}

// What was told is the outcome also where another run of the wait has to acknowledge it.
func TestWaitToldIsOver(t *testing.T) {
	p := &awaiting{waitCmd: &waitCmd{Timeout: soon}, told: true}
	for _, last := range []bool{true, false} {
		if err := p.verdict(coord.ErrTimeout, last); err != nil {
			t.Errorf("exit code %d: %v", codeOf(err), err)
		}
	}
}
