package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultTimeout bounds an operation whose context has no deadline, or a later one.
const DefaultTimeout = time.Second

// Option changes how Open or New makes a Store.
type Option func(*settings)

type settings struct {
	timeout   time.Duration
	password  string
	tls       *tls.Config
	log       *slog.Logger
	pingEvery time.Duration // of the subscription; dead after two of them in silence
	pauseMin  time.Duration // between two attempts to reconnect it
	pauseMax  time.Duration
	combine   bool
}

func newSettings(opts []Option) settings {
	set := settings{
		timeout:   DefaultTimeout,
		log:       slog.New(slog.DiscardHandler),
		pingEvery: 2 * time.Second,
		pauseMin:  50 * time.Millisecond,
		pauseMax:  2 * time.Second,
		combine:   true,
	}
	for _, o := range opts {
		o(&set)
	}
	return set
}

// WithTimeout bounds every operation; 0 or less means DefaultTimeout. Keys bounds each of its trips by it.
func WithTimeout(d time.Duration) Option {
	return func(s *settings) {
		if s.timeout = d; d <= 0 {
			s.timeout = DefaultTimeout
		}
	}
}

// WithPassword gives Open the password, for URLs that should not hold one. An empty one changes nothing. New ignores it.
func WithPassword(password string) Option {
	return func(s *settings) { s.password = password }
}

// WithTLS gives Open the TLS configuration for a rediss:// URL, such as the roots of a private authority; the server's
// name is the URL's where it has none. New ignores it.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithLogger is where New warns of risky settings; silent by default. The driver logs nothing else.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) {
		if log != nil {
			s.log = log
		}
	}
}

// parse never passes on what url.Parse says: it quotes the URL, and with it the password.
func parse(url string, set settings) (*redis.Options, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redisstore: malformed URL: want redis://[[user]:password@]host[:port][/db], or rediss:// " +
			"for TLS, with special characters in the password percent-encoded")
	}
	if set.password != "" {
		o.Password = set.password
	}
	if err := secure(o, set); err != nil {
		return nil, err
	}
	harden(o, set.timeout)
	return o, nil
}

// secure makes TLS what the options want it to be; the URL decides whether there is any.
func secure(o *redis.Options, set settings) error {
	if o.TLSConfig == nil {
		if set.tls != nil {
			return errors.New("redisstore: a TLS configuration needs a rediss:// URL")
		}
		return nil
	}
	if set.tls != nil {
		name := o.TLSConfig.ServerName
		if o.TLSConfig = set.tls.Clone(); o.TLSConfig.ServerName == "" {
			o.TLSConfig.ServerName = name
		}
	}
	o.Dialer = dialTLS(o.TLSConfig, dialTimeout(set.timeout))
	return nil
}

// harden sets what the protocol demands of a client: nothing is sent twice, nothing waits without end. RESP 2 spares
// the search for push messages before every answer.
func harden(o *redis.Options, timeout time.Duration) {
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = dialTimeout(timeout)
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.PipelinePoolSize = -1 // pipelines on the same connections: they are most of what we send
	if o.TLSConfig == nil {
		o.Dialer = dial(o)
	}
}

// dialTimeout ends before the operation does, which can then say that it was the dialling that took so long.
func dialTimeout(timeout time.Duration) time.Duration { return timeout * 3 / 4 }

// dialTLS says in its errors that TLS was tried: a server without it just waits for more.
func dialTLS(config *tls.Config, timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: timeout}, Config: config}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, fmt.Errorf("TLS to %s: %w", addr, err)
		}
		return conn, nil
	}
}

// Connections per Store of Open. A batch or an operation holds one for a trip.
const (
	mainPool = 16
	oncePool = 2
)

// clone takes the pool's size from the URL where it names one, but never for beats: they need few connections.
func clone(o *redis.Options, pool int) *redis.Options {
	c := *o
	if c.PoolSize == 0 || pool == oncePool {
		c.PoolSize = pool
		c.MaxActiveConns = pool
		c.MinIdleConns = min(c.MinIdleConns, pool)
	}
	return &c
}
