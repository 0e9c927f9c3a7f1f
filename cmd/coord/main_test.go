package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/redistest"
)

const testSecret = "0123456789abcdef0123456789abcdef"

// soon bounds every wait for something that should come at once. A loaded machine is slow, not broken.
const soon = time.Minute

var binary string // built once by TestMain

// TestMain builds the command; in a process that a test has started as its receiver or
// its worker it is that.
func TestMain(m *testing.M) {
	if os.Getenv(receiverEnv) != "" {
		os.Exit(receive())
	}
	if os.Getenv(workerEnv) != "" {
		os.Exit(labourUntilKilled())
	}
	os.Exit(withBinary(m.Run))
}

func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "coord-cmd-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "coord")
	args := append(append([]string{"build"}, raceFlags...), "-o", binary, ".")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	return run()
}

// process is a running command.
type process struct {
	cmd      *exec.Cmd
	out, err lines
	gone     chan struct{}
}

// lines is what a process has printed so far.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// user is an environment in which commands are run.
type user struct {
	t   *testing.T
	env []string
}

// at is a user of the store at url who knows the secret. Later variables win.
func at(t *testing.T, url string, env ...string) *user {
	t.Helper()
	base := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GORACE=halt_on_error=1 atexit_sleep_ms=0",
		"BLOCKING_COORDINATION_SECRET=" + testSecret, "COORD_STORE=" + url}
	return &user{t, append(base, env...)}
}

// onRedis is a user of a private server.
func onRedis(t *testing.T, opts ...redistest.Option) (*user, *redistest.Server) {
	t.Helper()
	s := redistest.Start(t, opts...)
	return at(t, s.URL()), s
}

func (u *user) start(args ...string) *process { return u.startWith(nil, args...) }

func (u *user) startWith(stdin []byte, args ...string) *process {
	u.t.Helper()
	p := &process{cmd: exec.Command(binary, args...), gone: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdin = u.env, bytes.NewReader(stdin)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.WaitDelay = time.Second // what it started may outlive it, and has its stderr
	if err := p.cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	u.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.gone
		if u.t.Failed() {
			u.t.Logf("coord %s: %v\nstdout:\n%sstderr:\n%s", strings.Join(args, " "), p.cmd.ProcessState, &p.out, &p.err)
		}
	})
	return p
}

// run runs a command to its end.
func (u *user) run(args ...string) (code int, out, err string) {
	u.t.Helper()
	p := u.start(args...)
	return p.code(u.t), p.out.String(), p.err.String()
}

// must runs a command that has to succeed and returns its output.
func (u *user) must(args ...string) string {
	u.t.Helper()
	code, out, errs := u.run(args...)
	if code != 0 {
		u.t.Fatalf("coord %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// code waits for the end of p and returns its exit code.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.gone:
	case <-time.After(soon):
		t.Fatalf("%v is still running", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// await waits until what was printed contains want.
func await(t *testing.T, l *lines, want string) {
	t.Helper()
	eventually(t, func() error {
		if got := l.String(); !strings.Contains(got, want) {
			return fmt.Errorf("no %q in:\n%s", want, got)
		}
		return nil
	})
}

// eventually polls until f returns nil.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	err := errors.New("not yet")
	for end := time.Now().Add(soon); err != nil && time.Now().Before(end); <-tick.C {
		err = f()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expect compares an exit code and what was printed.
func expect(t *testing.T, code, wantCode int, got, want string) {
	t.Helper()
	if code != wantCode || got != want {
		t.Errorf("exit code %d, printed %q; want %d, %q", code, got, wantCode, want)
	}
}
