//go:build race

package main

// raceFlags: what is tested under the race detector runs under it too.
var raceFlags = []string{"-race"}
