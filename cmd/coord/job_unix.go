//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// asGroup makes the end of its context kill a command with everything that it started.
func asGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
