//go:build race

package work_test

// thorough is off under the race detector: the simulation runs one goroutine at a time, where it finds nothing and costs
// fifty times as much.
const thorough = false
