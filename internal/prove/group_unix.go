//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// endTogether makes the end of the context end the go command, the test binary and whatever that one started.
func endTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
