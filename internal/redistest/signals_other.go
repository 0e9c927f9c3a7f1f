//go:build !unix

package redistest

import "syscall"

// Nothing can be frozen here: Process.Signal refuses these, and the test says so.
const (
	sigStop = syscall.Signal(0)
	sigCont = syscall.Signal(0)
)
