package redisstore

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// bell counts how often a deadline is set.
type bell struct {
	net.Conn
	reads, writes []time.Time
}

func (b *bell) SetReadDeadline(t time.Time) error  { b.reads = append(b.reads, t); return nil }
func (b *bell) SetWriteDeadline(t time.Time) error { b.writes = append(b.writes, t); return nil }

// SyscallConn is what is asked in earnest.
func (b *bell) SyscallConn() (syscall.RawConn, error) { return nil, net.ErrClosed }

func TestDeadlinesAreSetWhereTheyDiffer(t *testing.T) {
	b := &bell{}
	c := &conn{Conn: b, raw: b}
	now := time.Now()
	for _, d := range []time.Duration{time.Second, time.Second + tolerance/2, time.Second + tolerance, time.Second, 2 * time.Second} {
		_ = c.SetReadDeadline(now.Add(d))
		_ = c.SetWriteDeadline(now.Add(d))
	}
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetReadDeadline(time.Time{})
	want := []time.Duration{time.Second, time.Second + tolerance, time.Second, 2 * time.Second} // an earlier one is always set
	if len(b.reads) != len(want)+1 || len(b.writes) != len(want) || !b.reads[len(want)].IsZero() {
		t.Fatalf("set %d and %d times, want %d and %d", len(b.reads), len(b.writes), len(want)+1, len(want))
	}
	for i, d := range want {
		if !b.reads[i].Equal(now.Add(d)) || !b.writes[i].Equal(now.Add(d)) {
			t.Errorf("deadline %d is %v, want %v", i, b.reads[i].Sub(now), d)
		}
	}
}

// Who has little time left has all of it: what is left of an earlier deadline may be nothing.
func TestNearDeadlinesAreSet(t *testing.T) {
	b := &bell{}
	c := &conn{Conn: b, raw: b}
	now := time.Now()
	for _, d := range []time.Duration{2 * time.Millisecond, 9 * time.Millisecond} {
		_ = c.SetReadDeadline(now.Add(d))
		_ = c.SetWriteDeadline(now.Add(d))
	}
	if len(b.reads) != 2 || len(b.writes) != 2 {
		t.Errorf("set %d and %d times, want 2 and 2", len(b.reads), len(b.writes))
	}
}

func TestAnIdleConnectionIsAsked(t *testing.T) {
	b := &bell{}
	c := &conn{Conn: b, raw: b}
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	_ = c.SetDeadline(time.Time{}) // as go-redis does before it asks
	if raw, err := c.SyscallConn(); raw != (alive{}) || err != nil {
		t.Errorf("while the last answer is fresh: %v, %v", raw, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.SyscallConn(); err != net.ErrClosed {
		t.Errorf("when it is not: %v, want what the connection says", err)
	}
	if last := b.reads[len(b.reads)-1]; !last.IsZero() {
		t.Error("a deadline that has passed stands in the way of the question")
	}
}
