package redisstore

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

// TestMain also silences go-redis, which would report every outage that a test brings about.
func TestMain(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m)
}
