//go:build !race

package mailbox_test

const slow = 1
