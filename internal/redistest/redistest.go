// Package redistest gives tests a redis-server of their own: on a free loopback port, with a data directory of its own,
// gone when the test ends, however it ends. Only tests can use it: everything takes a testing.TB.
package redistest

import (
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// RequireEnv names the environment variable that turns a missing redis-server into a failure where it is "1".
const RequireEnv = "COORD_REQUIRE_REDIS"

// patience bounds every wait for a server to come up or to go away. A loaded machine is slow, not broken.
const patience = 20 * time.Second

// Server is a private redis-server. Its methods belong to the goroutine of the test: they are not for concurrent use.
type Server struct {
	Addr string // host:port, the same after a Restart

	tb  testing.TB
	cfg config
	dir string
	run *process // nil while no server runs
}

type config struct {
	password string
	args     []string
}

// Option changes how Start starts the server.
type Option func(*config)

// WithPassword makes the server demand password from its default user.
func WithPassword(password string) Option {
	return func(c *config) { c.password = password }
}

// WithConfig passes a directive of redis.conf, such as WithConfig("maxmemory-policy", "allkeys-lru"). A later one of the
// same name wins, also over the defaults of this package.
func WithConfig(directive string, values ...string) Option {
	return func(c *config) {
		c.args = append(append(c.args, "--"+directive), values...)
	}
}

// WithoutPersistence switches the append-only file off: a restarted server is empty.
func WithoutPersistence() Option { return WithConfig("appendonly", "no") }

// Start starts a server with an append-only file that is synced at every write, waits until it answers, and stops it in
// tb.Cleanup. Where there is no redis-server on PATH it skips tb, or fails it where RequireEnv is "1".
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	Require(tb)
	s := &Server{tb: tb, dir: tb.TempDir()}
	for _, o := range opts {
		o(&s.cfg)
	}
	tb.Cleanup(func() { s.end(syscall.SIGKILL) })
	s.launchAnywhere()
	return s
}

// Require skips tb where there is no redis-server on PATH, or fails it where RequireEnv is "1".
func Require(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv(RequireEnv) == "1" {
		tb.Fatalf("redistest: no redis-server on PATH, and %s=1", RequireEnv)
	}
	tb.Skip("redistest: no redis-server on PATH")
}

// URL returns the server's address as a redis URL, with the password where there is one.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr, Path: "/0"}
	if s.cfg.password != "" {
		u.User = url.UserPassword("", s.cfg.password)
	}
	return u.String()
}

// Kill ends the server with SIGKILL, as a crash would, and returns when it is gone.
func (s *Server) Kill() {
	s.tb.Helper()
	s.end(syscall.SIGKILL)
}

// Restart starts the server again on the same port and data. A server that still runs is shut down in good order first;
// after Kill this is the recovery from the crash.
func (s *Server) Restart() {
	s.tb.Helper()
	s.end(syscall.SIGTERM)
	if err := s.launch(); err != nil {
		s.tb.Fatalf("redistest: %v", err)
	}
}

// Stop freezes the server: connections stand, nothing is answered. Continue thaws it.
func (s *Server) Stop() {
	s.tb.Helper()
	s.mustSignal(sigStop)
}

// Continue undoes Stop.
func (s *Server) Continue() {
	s.tb.Helper()
	s.mustSignal(sigCont)
}

func (s *Server) mustSignal(sig os.Signal) {
	s.tb.Helper()
	if s.run == nil {
		s.tb.Fatalf("redistest: %v to a server that does not run", sig)
	}
	if err := s.run.signal(sig); err != nil {
		s.tb.Fatalf("redistest: %v: %v", sig, err)
	}
}

// end signals the process and waits until it is gone; what ignores the signal is killed.
func (s *Server) end(sig os.Signal) {
	if s.run == nil {
		return
	}
	_ = s.run.signal(sigCont) // a frozen process does not act on SIGTERM
	_ = s.run.signal(sig)
	if !s.run.wait(patience) {
		_ = s.run.signal(syscall.SIGKILL)
		s.run.wait(patience)
	}
	s.run = nil
}
