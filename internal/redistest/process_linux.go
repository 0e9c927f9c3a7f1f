package redistest

import "syscall"

// dieWithParent makes the kernel kill the child when this process dies, so that a crashed or killed test leaves no
// server behind.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
