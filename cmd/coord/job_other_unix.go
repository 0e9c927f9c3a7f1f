//go:build unix && !linux

package main

import "syscall"

// group is a process group of its own, which outlives us if we are killed.
func group() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
