package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	secretName    = "CONSENSUS_SECRET"
	namespaceName = "CONSENSUS_NAMESPACE"
)

// direct starts everybody, and kills one of them while it reviews.
func direct(url string, out io.Writer) error {
	if url == "" {
		server, stop, err := startRedis()
		if err != nil {
			return err
		}
		defer stop()
		url = server
	}
	d := &director{url: url, out: out, env: append(os.Environ(),
		secretName+"="+secret(), namespaceName+"=consensus-"+rand.Text())}
	defer d.end()
	for _, id := range validators {
		if _, err := d.start(id); err != nil {
			return err
		}
	}
	po, err := d.start("product-owner")
	if err != nil {
		return err
	}
	return <-po.over
}

// director runs this program again and again, each time as somebody else.
type director struct {
	url  string
	out  io.Writer
	env  []string
	mu   sync.Mutex // of out
	cast []*actor
}

type actor struct {
	cmd  *exec.Cmd
	over chan error
}

func (d *director) start(as string) (*actor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-redis", d.url, "-as", as)
	cmd.Env, cmd.Stderr = d.env, os.Stderr
	says, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &actor{cmd, make(chan error, 1)}
	d.cast = append(d.cast, a)
	go func() {
		for lines := bufio.NewScanner(says); lines.Scan(); {
			d.heard(a, lines.Text())
		}
		a.over <- cmd.Wait()
	}()
	return a, nil
}

// heard repeats a line, and kills the doomed as soon as it reviews.
func (d *director) heard(a *actor, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.out, line)
	if strings.HasPrefix(line, doomed+" reviews") {
		_ = a.cmd.Process.Kill()
		fmt.Fprintln(d.out, doomed, "is killed")
	}
}

// end kills those who serve for ever.
func (d *director) end() {
	for _, a := range d.cast {
		_ = a.cmd.Process.Kill()
		select {
		case <-a.over:
		case <-time.After(time.Second): // it was waited for before
		}
	}
}

// startRedis starts a server of our own that keeps nothing.
func startRedis() (url string, stop func(), err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, errors.New("give -redis URL, or have redis-server on the PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	cmd := exec.Command(path, "--port", fmt.Sprint(addr.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	if err := awaitRedis(addr.String()); err != nil {
		stop()
		return "", nil, err
	}
	return "redis://" + addr.String() + "/0", stop, nil
}

// awaitRedis knocks until somebody opens.
func awaitRedis(addr string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the redis-server did not begin: %w", err)
		}
	}
}
