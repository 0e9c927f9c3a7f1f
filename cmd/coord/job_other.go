//go:build !unix

package main

import "os/exec"

// asGroup: here the end of its context kills the command alone.
func asGroup(*exec.Cmd) {}

// endGroup: here what a command has left behind goes on.
func endGroup(*exec.Cmd) {}
