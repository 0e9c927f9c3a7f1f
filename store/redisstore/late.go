package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// Touch implements store.LateIndex on a sorted set, whose scores are the counts, beside a counter: one trip, two where
// the server refuses scripts. A ttl that is not positive is store.ErrInvalidTTL.
func (d *driver) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	if ttl <= 0 {
		return failure(ctx, "TOUCH", index, store.ErrInvalidTTL)
	}
	_, err := d.run(ctx, "TOUCH", touchScript, []string{index, countKey(index)}, touchArgs(ttl, members)...)
	if errors.Is(err, errors.ErrUnsupported) {
		return d.touchInTwo(ctx, index, ttl, members)
	}
	return err
}

func touchArgs(ttl time.Duration, members []string) []any {
	args := make([]any, 1, 1+len(members))
	args[0] = millis(ttl)
	for _, m := range members {
		args = append(args, m)
	}
	return args
}

// touchCmd calls the script by its text: in the midst of a batch there is no second attempt for a server that does not
// know its digest.
func (d *driver) touchCmd(ctx context.Context, op store.Op) (redis.Cmder, error) {
	switch {
	case op.TTL <= 0:
		return nil, failure(ctx, "TOUCH", op.Key, store.ErrInvalidTTL)
	case d.noScripts.Load():
		return nil, failure(ctx, "TOUCH", op.Key, errNoScripts)
	}
	return touchScript.command(ctx, "eval", []string{op.Key, countKey(op.Key)}, touchArgs(op.TTL, op.Members)), nil
}

// touchInTwo may let another touch in between: a member's count is then lower than it could be, so it is a candidate a
// little longer. The counter must not die before the set: counts that start again would hide the late.
func (d *driver) touchInTwo(ctx context.Context, index string, ttl time.Duration, members []string) error {
	n, err := d.Incr(ctx, countKey(index))
	if err != nil {
		return err
	}
	cmds := []redis.Cmder{expireCmd(ctx, index, ttl), expireCmd(ctx, countKey(index), ttl)}
	if len(members) > 0 {
		args := []any{"zadd", index}
		for _, m := range members {
			args = append(args, n, m)
		}
		cmds = append([]redis.Cmder{redis.NewIntCmd(ctx, args...)}, cmds...)
	}
	d.send(ctx, cmds...)
	for _, c := range cmds {
		if c.Err() != nil {
			return failure(ctx, "TOUCH", index, c.Err())
		}
	}
	return nil
}

// Count implements store.LateIndex.
func (d *driver) Count(ctx context.Context, index string) (int64, error) {
	cmd := redis.NewIntCmd(ctx, "get", countKey(index))
	err := d.do(ctx, "COUNT", index, cmd)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return cmd.Val(), err
}

// Counts implements store.LateIndex in one trip.
func (d *driver) Counts(ctx context.Context, index string, members ...string) ([]int64, error) {
	counts, cmds := make([]int64, len(members)), make([]redis.Cmder, len(members))
	for i, m := range members {
		cmds[i] = redis.NewFloatCmd(ctx, "zscore", index, m)
	}
	if len(cmds) > 0 {
		d.send(ctx, cmds...)
	}
	for i, c := range cmds {
		err := failure(ctx, "COUNTS", index, c.Err())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		counts[i] = int64(c.(*redis.FloatCmd).Val())
	}
	return counts, nil
}

// Late implements store.LateIndex. Members of the same count come in the order of their names. A limit that is not
// positive returns none.
func (d *driver) Late(ctx context.Context, index string, count int64, limit int) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	cmd := redis.NewStringSliceCmd(ctx, "zrangebyscore", index, "-inf", strconv.FormatInt(count, 10), "limit", 0, limit)
	err := d.do(ctx, "LATE", index, cmd)
	return cmd.Val(), err
}

// Drop implements store.LateIndex. Members that are not there are ignored.
func (d *driver) Drop(ctx context.Context, index string, members ...string) error {
	if len(members) == 0 {
		return nil
	}
	args := make([]any, 2, 2+len(members))
	args[0], args[1] = "zrem", index
	for _, m := range members {
		args = append(args, m)
	}
	return d.do(ctx, "DROP", index, redis.NewIntCmd(ctx, args...))
}

// countKey names the counter of an index so that Cluster keeps both on the same node.
func countKey(index string) string {
	if _, rest, ok := strings.Cut(index, "{"); ok && strings.Index(rest, "}") > 0 {
		return index + ":count"
	}
	return index + ":count:{" + index + "}"
}
