//go:build !race

package proof

// Slow is by how much less is played.
const Slow = 1
