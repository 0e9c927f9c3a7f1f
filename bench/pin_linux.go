package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinnedEnv tells the second start of this program that it is pinned.
const pinnedEnv = "COORD_BENCH_PINNED"

// pin starts this program again on one core: threads that exist already would stay where they are. Children inherit it.
func pin(core int) (string, error) {
	if done := os.Getenv(pinnedEnv); done != "" {
		return done, nil
	}
	set, err := oneOf(core)
	if err != nil || set == nil {
		return "not pinned", err
	}
	if err := unix.SchedSetaffinity(0, set); err != nil {
		return "not pinned", nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	env := append(os.Environ(), pinnedEnv+"=everything on one core")
	return "", syscall.Exec(self, os.Args, env)
}

// oneOf returns core, or the last of those that this process may use, or nil.
func oneOf(core int) (*unix.CPUSet, error) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || core < -1 {
		return nil, nil
	}
	for i := 0; core == -1 && i < len(all)*64; i++ {
		if all.IsSet(i) {
			one.Zero()
			one.Set(i)
		}
	}
	if core >= 0 {
		if !all.IsSet(core) {
			return nil, fmt.Errorf("core %d is not ours", core)
		}
		one.Set(core)
	}
	return &one, nil
}

// unpin gives all cores to the threads that a child of ours has, and so to those that they make.
func unpin(pid int) {
	var all unix.CPUSet
	for i := range len(all) * 64 {
		all.Set(i)
	}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.SchedSetaffinity(id, &all)
		}
	}
}
