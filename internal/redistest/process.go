package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// launchAnywhere tries ports until a server stands: another process may take a port between the look and the bind.
func (s *Server) launchAnywhere() {
	s.tb.Helper()
	var err error
	for range 10 {
		if s.Addr, err = freeAddr(); err != nil {
			break
		}
		if err = s.launch(); err == nil {
			return
		}
	}
	s.tb.Fatalf("redistest: %v", err)
}

// freeAddr stays below the range from which systems take the ports of outgoing connections, so that nobody takes the
// port while a killed server is to be restarted on it.
func freeAddr() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("found no free port")
}

func (s *Server) launch() error {
	p, err := start(s.arguments())
	if err != nil {
		return err
	}
	s.run = p
	if err := s.awaitReady(); err != nil {
		s.end(os.Kill)
		return fmt.Errorf("%w\n%s", err, p.output())
	}
	return nil
}

func (s *Server) arguments() []string {
	_, port, _ := net.SplitHostPort(s.Addr)
	args := []string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", "always",
	}
	if s.cfg.password != "" {
		args = append(args, "--requirepass", s.cfg.password)
	}
	return append(args, s.cfg.args...)
}

// awaitReady polls until the server answers PING, its process ends, or patience does.
func (s *Server) awaitReady() error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if s.ping() {
			return nil
		}
		if s.run.wait(10 * time.Millisecond) {
			return errors.New("redis-server ended at once")
		}
	}
	return fmt.Errorf("redis-server on %s did not answer within %v", s.Addr, patience)
}

// ping speaks the inline protocol, so that a bug in a client library cannot hide here.
func (s *Server) ping() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if s.cfg.password != "" {
		_, _ = fmt.Fprintf(conn, "AUTH %q\r\n", s.cfg.password)
	}
	_, _ = conn.Write([]byte("PING\r\nQUIT\r\n"))
	var answer bytes.Buffer
	_, _ = answer.ReadFrom(conn)
	return bytes.Contains(answer.Bytes(), []byte("+PONG"))
}

// process is a running redis-server and what it printed.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// start keeps the child's goroutine on one thread until the child ends: the signal that a child gets at its parent's
// death is bound to the thread that made it, not to the process.
func start(args []string) (*process, error) {
	p := &process{cmd: exec.Command("redis-server", args...), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = dieWithParent()
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.gone)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	return p, <-started
}

func (p *process) signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// wait reports whether the process ended within d.
func (p *process) wait(d time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(d):
		return false
	}
}

// Write collects what the server prints; a failed start shows it.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}
