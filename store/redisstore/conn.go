package redisstore

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// tolerance is how much too early a deadline may come that is not near.
const (
	tolerance = 10 * time.Millisecond
	near      = 10 * tolerance
)

// conn is a connection that spares a busy client system calls: go-redis asks a connection whether it lives, and sets
// three deadlines, for every single trip. One goroutine reads from it at a time, and one writes.
type conn struct {
	net.Conn
	raw         syscall.Conn
	read, write time.Time // the deadlines as they stand; zero: none
}

// dial wraps what the default dialer makes. What has no system call of its own, such as TLS, is left alone: it is not
// asked anyway.
func dial(o *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	inner := redis.NewDialer(o)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := inner(ctx, network, addr)
		if raw, ok := c.(syscall.Conn); ok && err == nil {
			return &conn{Conn: c, raw: raw}, nil
		}
		return c, err
	}
}

// SetDeadline implements net.Conn. go-redis clears both deadlines before it asks whether a connection lives: SyscallConn
// does so where it has to, and whatever is read or written has a deadline of its own.
func (c *conn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	if stands(c.read, t) {
		return nil
	}
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if stands(c.write, t) {
		return nil
	}
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}

// stands reports whether the deadline that stands will do for t.
func stands(deadline, t time.Time) bool {
	return deadline.Equal(t) || !deadline.IsZero() && !t.IsZero() &&
		deadline.Before(t) && t.Sub(deadline) < tolerance && time.Until(deadline) > near
}

// SyscallConn implements syscall.Conn, which is how go-redis asks whether the connection lives. Until the deadline of the
// last answer has passed, that answer will do: a connection that failed is not used again.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if time.Now().Before(c.read) {
		return alive{}, nil
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return c.raw.SyscallConn()
}

// alive is the answer to that question without asking.
type alive struct{}

func (alive) Read(func(uintptr) bool) error  { return nil }
func (alive) Write(func(uintptr) bool) error { return nil }
func (alive) Control(func(uintptr)) error    { return nil }
