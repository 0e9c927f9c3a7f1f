//go:build !linux

package redistest

import "syscall"

// dieWithParent: only Linux can; elsewhere tb.Cleanup has to do.
func dieWithParent() *syscall.SysProcAttr { return nil }
