//go:build race

package proof

// Slow is by how much less is played: under the race detector coroutines are slow, and there is one goroutine anyway.
const Slow = 20
