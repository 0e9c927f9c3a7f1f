package breaker

import (
	"math"
	"time"
)

// The defaults.
const (
	DefaultRetries          = 4
	DefaultFirstDelay       = time.Second
	DefaultMaxDelay         = 8 * time.Second
	DefaultFailureThreshold = 5
	DefaultOpenTime         = 5 * time.Second
	DefaultAttemptTimeout   = time.Second
	DefaultKeysTimeout      = 10 * time.Second
)

// delayFactor is what each delay is multiplied by to get the next.
const delayFactor = 2

// Option changes a default of Wrap. A value that makes no sense (a negative number, a duration that is not positive)
// leaves the default as it is; it never panics and never fails.
type Option func(*config)

type config struct {
	retries        int
	firstDelay     time.Duration
	maxDelay       time.Duration
	threshold      uint32
	openTime       time.Duration
	attemptTimeout time.Duration
	keysTimeout    time.Duration
}

func newConfig(opts []Option) config {
	c := config{
		retries:        DefaultRetries,
		firstDelay:     DefaultFirstDelay,
		maxDelay:       DefaultMaxDelay,
		threshold:      DefaultFailureThreshold,
		openTime:       DefaultOpenTime,
		attemptTimeout: DefaultAttemptTimeout,
		keysTimeout:    DefaultKeysTimeout,
	}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	return c
}

// Retries sets how many attempts follow a first one that failed. The default is 4; 0 means that nothing is retried; a
// negative number is ignored.
func Retries(n int) Option {
	return func(c *config) {
		if n >= 0 {
			c.retries = n
		}
	}
}

// Delays sets the pause before the first retry, which doubles for each retry after it, and what it stops doubling at.
// The defaults are 1 s and 8 s. A pause that is not positive is ignored; a limit below first counts as first.
func Delays(first, limit time.Duration) Option {
	return func(c *config) {
		if first > 0 {
			c.firstDelay = first
		}
		if limit > 0 {
			c.maxDelay = limit
		}
		c.maxDelay = max(c.firstDelay, c.maxDelay)
	}
}

// FailureThreshold sets how many attempts must fail in a row, over all operations, for the breaker to open. The default
// is 5; a number below 1 is ignored.
func FailureThreshold(n int) Option {
	return func(c *config) {
		if n >= 1 {
			c.threshold = uint32(min(n, math.MaxInt32))
		}
	}
}

// OpenTime sets how long the breaker stays open before it lets a probe through. The default is 5 s; a duration that is
// not positive is ignored.
func OpenTime(d time.Duration) Option {
	return func(c *config) {
		if d > 0 {
			c.openTime = d
		}
	}
}

// AttemptTimeout sets the deadline of every attempt, of those by Once too. The default is 1 s; a duration that is not
// positive is ignored. Keys has its own, see KeysTimeout.
func AttemptTimeout(d time.Duration) Option {
	return func(c *config) {
		if d > 0 {
			c.attemptTimeout = d
		}
	}
}

// KeysTimeout sets the deadline of every attempt of Keys, which is an audit of many trips. The default is 10 s; a
// duration that is not positive is ignored. A Keys that happens to be the probe of a half-open breaker keeps all other
// operations out for as long.
func KeysTimeout(d time.Duration) Option {
	return func(c *config) {
		if d > 0 {
			c.keysTimeout = d
		}
	}
}
