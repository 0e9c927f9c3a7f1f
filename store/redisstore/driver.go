package redisstore

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// driver is the operations on one pool.
type driver struct {
	link    *link
	timeout time.Duration
	shared  *combiner // nil: every call makes a trip of its own

	noScripts atomic.Bool // the server refused one; see script.go
}

func (d *driver) init(l *link, timeout time.Duration) { d.link, d.timeout = l, timeout }

// combine is for single servers. In Cluster a pipeline ends with its slowest node, and nobody should wait for a node that
// he did not ask.
func (d *driver) combine() {
	if _, ok := d.link.client().(*redis.Client); ok {
		d.shared = &combiner{trip: d.trip, timeout: d.timeout}
	}
}

// once marks a command as one that must not be sent again. go-redis asks before each retry, also where its Cluster
// client would repeat what may have happened, and whatever the settings of a client say.
type once struct {
	redis.Cmder
	first redis.Cmder // of a pipeline to one server; else nil
}

// NoRetry is asked by go-redis.
func (once) NoRetry() bool { return true }

// SetErr is called by go-redis with each answer, in order. It judges the connection of a pipeline by its first command
// alone, and a connection to a read-only server has to go whichever command met it. What the first one was told there is
// stale, if it was a read; else its outcome is unknown.
func (o once) SetErr(err error) {
	o.Cmder.SetErr(err)
	if o.first != nil && err != redis.Nil && redis.IsReadOnlyError(err) {
		o.first.SetErr(err)
	}
}

// do sends one command and says what failed.
func (d *driver) do(ctx context.Context, op, key string, cmd redis.Cmder) error {
	d.send(ctx, cmd)
	return failure(ctx, op, key, cmd.Err())
}

// send sends cmds in one trip and leaves each outcome in its command.
func (d *driver) send(ctx context.Context, cmds ...redis.Cmder) {
	if ctx.Err() != nil {
		stamp(cmds, context.Cause(ctx))
		return
	}
	if d.shared.takes(ctx, cmds) {
		d.shared.send(ctx, cmds)
	} else {
		d.alone(ctx, cmds)
	}
	for _, c := range cmds {
		if redis.IsReadOnlyError(c.Err()) {
			d.link.demoted()
			return
		}
	}
}

func (d *driver) alone(ctx context.Context, cmds []redis.Cmder) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	d.trip(ctx, cmds)
}

// ask is for what changes nothing and may go to any node, or to all.
func (d *driver) ask(ctx context.Context, op string, call func(context.Context, redis.UniversalClient) error) error {
	bounded, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return failure(ctx, op, "", call(bounded, d.link.client()))
}

func (d *driver) trip(ctx context.Context, cmds []redis.Cmder) {
	client := d.link.client()
	if len(cmds) == 1 {
		_ = client.Process(ctx, once{Cmder: cmds[0]})
		return
	}
	var first redis.Cmder
	if _, ok := client.(*redis.Client); ok { // others send parts of it to several servers at once
		first = cmds[0]
	}
	pipe := client.Pipeline()
	for _, c := range cmds {
		_ = pipe.Process(ctx, once{c, first})
	}
	_, err := pipe.Exec(ctx)
	stampUntouched(cmds, err)
}

// stampUntouched mends what go-redis leaves open: where the server refuses the connection (a wrong password), Exec
// fails, but the commands, which were never sent, show no error.
func stampUntouched(cmds []redis.Cmder, err error) {
	if err == nil {
		return
	}
	for _, c := range cmds {
		if c.Err() != nil {
			return
		}
	}
	stamp(cmds, err)
}

func stamp(cmds []redis.Cmder, err error) {
	for _, c := range cmds {
		c.SetErr(err)
	}
}

// SetEX implements store.Store. Times to live are rounded up to a millisecond.
func (d *driver) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return failure(ctx, "SET", key, store.ErrInvalidTTL)
	}
	return d.do(ctx, "SET", key, setCmd(ctx, key, value, ttl))
}

// Get implements store.Store.
func (d *driver) Get(ctx context.Context, key string) ([]byte, error) {
	cmd := redis.NewStringCmd(ctx, "get", key)
	if err := d.do(ctx, "GET", key, cmd); err != nil {
		return nil, err
	}
	return cmd.Bytes()
}

// Incr implements store.Store.
func (d *driver) Incr(ctx context.Context, key string) (int64, error) {
	cmd := redis.NewIntCmd(ctx, "incr", key)
	if err := d.do(ctx, "INCR", key, cmd); err != nil {
		return 0, err
	}
	return cmd.Val(), nil
}

// Expire implements store.Store.
func (d *driver) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	cmd := expireCmd(ctx, key, ttl)
	if err := d.do(ctx, "PEXPIRE", key, cmd); err != nil {
		return false, err
	}
	return cmd.Val() > 0, nil
}

func setCmd(ctx context.Context, key string, value []byte, ttl time.Duration) *redis.StatusCmd {
	if value == nil {
		value = []byte{} // go-redis has no words for nil
	}
	return redis.NewStatusCmd(ctx, "set", key, value, "px", millis(ttl))
}

// expireCmd answers 1 where the key was there and 0 where it was not, either way.
func expireCmd(ctx context.Context, key string, ttl time.Duration) *redis.IntCmd {
	if ttl <= 0 {
		return redis.NewIntCmd(ctx, "del", key)
	}
	return redis.NewIntCmd(ctx, "pexpire", key, millis(ttl))
}

// millis rounds up, so that a key never dies early; but for the last millisecond of 292 years, which would overflow
// what counts in nanoseconds behind us.
func millis(ttl time.Duration) int64 {
	if ttl <= math.MaxInt64-time.Millisecond {
		ttl += time.Millisecond - 1
	}
	return ttl.Milliseconds()
}
