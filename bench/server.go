package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of this run, without persistence: what is compared is the way there, not the disk.
type server struct {
	addr   string
	cmd    *exec.Cmd
	dir    string
	client *redis.Client
}

func startServer(args ...string) (*server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server on PATH")
	}
	dir, err := os.MkdirTemp("", "coord-bench")
	if err != nil {
		return nil, err
	}
	for range 10 {
		s := &server{dir: dir, addr: freeAddr()}
		if err = s.launch(path, args); err == nil {
			return s, nil
		}
		s.kill()
	}
	_ = os.RemoveAll(dir)
	return nil, err
}

func (s *server) launch(path string, args []string) error {
	_, port, _ := net.SplitHostPort(s.addr)
	fixed := []string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--maxclients", "20000", "--logfile", filepath.Join(s.dir, "log"),
	}
	s.cmd = exec.Command(path, append(fixed, args...)...)
	s.cmd.SysProcAttr = dieWithParent()
	if err := spawn(s.cmd); err != nil {
		return err
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.addr})
	return s.awaitReady()
}

// spawn starts cmd from a thread that stays: what ends a child with its parent is bound to the thread that made it.
func spawn(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
		select {}
	}()
	return <-started
}

func (s *server) awaitReady() (err error) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = s.client.Ping(context.Background()).Err(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("redis-server did not answer: %w", err)
}

func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

func (s *server) stop() {
	_ = s.client.Close()
	s.kill()
	_ = os.RemoveAll(s.dir)
}

func (s *server) url() string { return "redis://" + s.addr + "/0" }

// info returns one number of INFO.
func (s *server) info(section, name string) float64 {
	text, _ := s.client.Info(context.Background(), section).Result()
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n
		}
	}
	return 0
}

// cpu is the processor time that the server has used, in seconds.
func (s *server) cpu() float64 { return s.info("cpu", "used_cpu_user") + s.info("cpu", "used_cpu_sys") }

func (s *server) version() string {
	text, _ := s.client.Info(context.Background(), "server").Result()
	_, rest, _ := strings.Cut(text, "redis_version:")
	version, _, _ := strings.Cut(rest, "\r")
	return version
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:16379"
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
