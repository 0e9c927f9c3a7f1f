package redistest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Miniredis starts an in-process imitation of a server, whose clock stands still until FastForward, and stops it in
// tb.Cleanup.
func Miniredis(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	tb.Cleanup(m.Close)
	m.Server().SetPreHook(refuseStrangeNumbers(m))
	return m
}

// refuseStrangeNumbers: the imitation increments "+1" and "01"; Redis takes the canonical form only.
func refuseStrangeNumbers(m *miniredis.Miniredis) server.Hook {
	return func(peer *server.Peer, cmd string, args ...string) bool {
		if !strings.EqualFold(cmd, "incr") || len(args) != 1 {
			return false
		}
		if !m.TryLock() { // inside a script the lock is held by ourselves
			return false
		}
		m.Unlock()
		value, err := m.Get(args[0])
		if err != nil {
			return false // missing, or of another type: the command itself says so
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err == nil && strconv.FormatInt(n, 10) == value {
			return false
		}
		peer.WriteError("ERR value is not an integer or out of range")
		return true
	}
}
