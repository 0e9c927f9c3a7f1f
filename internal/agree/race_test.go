//go:build race

package agree

// thorough is off under the race detector: the explorers run one goroutine at a time, where it finds nothing and costs
// fifty times as much.
const thorough = false
