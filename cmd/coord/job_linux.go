package main

import "syscall"

// group is a process group of its own, whose first process the kernel kills when we die.
func group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
