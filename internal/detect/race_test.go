//go:build race

package detect_test

// thorough is off under the race detector: every ward and every company runs in one goroutine at a time, where it finds
// nothing and costs ten to fifty times as much.
const thorough = false
