//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// asGroup makes the end of its context kill a command with everything that it started.
func asGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup kills what a command has left behind. Its group keeps its number while it has a member, and without one there
// is nothing to kill: that the number was given to a new group since the command ended is practically impossible.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
