package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// Batch implements store.Batcher as one pipeline; in Cluster one per node, in parallel, where operations of one hash tag
// keep their order. While Cluster moves a slot to another node, that order may break for the slot's keys.
func (d *driver) Batch(ctx context.Context, ops []store.Op) []store.Result {
	results := make([]store.Result, len(ops))
	cmds := make([]redis.Cmder, 0, len(ops))
	byOp := make([]redis.Cmder, len(ops)) // nil: not sent
	for i, op := range ops {
		if byOp[i], results[i].Err = d.command(ctx, op); byOp[i] != nil {
			cmds = append(cmds, byOp[i])
		}
	}
	if len(cmds) > 0 {
		d.send(ctx, cmds...)
	}
	for i, op := range ops {
		if byOp[i] != nil {
			results[i] = d.result(ctx, op, byOp[i])
		}
	}
	return results
}

// command returns what to send for op, or why nothing can be sent.
func (d *driver) command(ctx context.Context, op store.Op) (redis.Cmder, error) {
	switch op.Kind {
	case store.OpSetEX:
		if op.TTL <= 0 {
			return nil, failure(ctx, "SET", op.Key, store.ErrInvalidTTL)
		}
		return setCmd(ctx, op.Key, op.Value, op.TTL), nil
	case store.OpGet:
		return redis.NewStringCmd(ctx, "get", op.Key), nil
	case store.OpIncr:
		return redis.NewIntCmd(ctx, "incr", op.Key), nil
	case store.OpExpire:
		return expireCmd(ctx, op.Key, op.TTL), nil
	case store.OpPublish:
		return publishCmd(ctx, op.Key, op.Value), nil
	case store.OpTouch:
		return d.touchCmd(ctx, op)
	}
	return nil, fmt.Errorf("redisstore: operation of unknown kind %d", op.Kind)
}

func publishCmd(ctx context.Context, channel string, payload []byte) *redis.IntCmd {
	if payload == nil {
		payload = []byte{}
	}
	return redis.NewIntCmd(ctx, "publish", channel, payload)
}

func (d *driver) result(ctx context.Context, op store.Op, cmd redis.Cmder) (r store.Result) {
	if op.Kind == store.OpPublish {
		return r // a lost hint is not an error
	}
	if op.Kind == store.OpTouch && refusesScripts(cmd.Err()) {
		d.noScripts.Store(true)
		return store.Result{Err: failure(ctx, "TOUCH", op.Key, errNoScripts)}
	}
	if r.Err = failure(ctx, names[op.Kind], op.Key, cmd.Err()); r.Err != nil {
		return r
	}
	switch c := cmd.(type) {
	case *redis.StringCmd:
		r.Value, r.Err = c.Bytes()
	case *redis.IntCmd:
		if op.Kind == store.OpIncr {
			r.N = c.Val()
		} else {
			r.OK = c.Val() > 0
		}
	}
	return r
}

var names = [...]string{store.OpSetEX: "SET", store.OpGet: "GET", store.OpIncr: "INCR", store.OpExpire: "PEXPIRE", store.OpTouch: "TOUCH"}
