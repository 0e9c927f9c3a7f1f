//go:build !linux

package main

// pin: this platform cannot.
func pin(int) (string, error) { return "not pinned", nil }

func unpin(int) {}
