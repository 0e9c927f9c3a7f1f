package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startServers starts what is on PATH.
func startServers() (e env, stop func(), err error) {
	dir, err := os.MkdirTemp("", "coord-peers")
	if err != nil {
		return e, func() {}, err
	}
	var started []*exec.Cmd
	stop = func() {
		for _, c := range started {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		_ = os.RemoveAll(dir)
	}
	launch := func(addr, name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = dieWithParent()
		if err := cmd.Start(); err != nil {
			return err
		}
		started = append(started, cmd)
		return awaitPort(addr)
	}
	e.redis = freeAddr()
	_, port, _ := net.SplitHostPort(e.redis)
	if err := launch(e.redis, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir); err != nil {
		return e, stop, fmt.Errorf("redis-server: %w", err)
	}
	addr := freeAddr()
	_, port, _ = net.SplitHostPort(addr)
	if launch(addr, "nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", dir) == nil {
		e.nats = "nats://" + addr
	} else if awaitPort("127.0.0.1:4222") == nil {
		e.nats = "nats://127.0.0.1:4222"
	}
	if e.etcd, err = startEtcd(launch, dir); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
	}
	return e, stop, nil
}

// startEtcd returns the URL of a cluster of one; empty where there is no etcd.
func startEtcd(launch func(addr, name string, args ...string) error, dir string) (string, error) {
	if _, err := exec.LookPath("etcd"); err != nil {
		return "", nil
	}
	addr := freeAddr()
	clients, peers := "http://"+addr, "http://"+freeAddr()
	err := launch(addr, "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", clients,
		"--advertise-client-urls", clients, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
		"--initial-cluster", "default="+peers)
	if err != nil {
		return "", err
	}
	return clients, nil
}

func awaitPort(addr string) (err error) {
	for range 200 {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", addr, time.Second); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:16380"
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
