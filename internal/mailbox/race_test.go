//go:build race

package mailbox_test

// The race detector makes a run ten times as slow, and there is no second goroutine in it to find a race with.
const slow = 6
