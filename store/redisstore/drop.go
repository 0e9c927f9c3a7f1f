package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// dropIdle drops the idle connections of client's pool. All are taken before the first one goes: a pool that keeps some
// warm makes new ones meanwhile, and hands those out first.
func dropIdle(ctx context.Context, client *redis.Client) {
	var taken []*redis.Conn
	for client.PoolStats().IdleConns > 0 && len(taken) < client.Options().PoolSize && ctx.Err() == nil {
		c := client.EphemeralConn() // takes one for its first command, and drops it in the end
		_ = c.Process(ctx, once{Cmder: redis.NewStatusCmd(ctx, "ping")})
		taken = append(taken, c)
	}
	for _, c := range taken {
		_ = c.Close()
	}
}

// dropPipelines does so in the pool that a client may have for pipelines. It keeps none warm.
func dropPipelines(ctx context.Context, client *redis.Client) {
	stats := client.PoolStats().PipelineStats
	for i := uint32(0); stats != nil && i < stats.IdleConns && ctx.Err() == nil; i++ {
		pipe := client.Pipeline()
		_ = pipe.Process(ctx, spoilt{redis.NewStatusCmd(ctx, "ping")})
		_, _ = pipe.Exec(ctx)
	}
}

// spoilt is a command that fails whatever the answer: go-redis drops the connection of a pipeline whose first one does.
type spoilt struct{ redis.Cmder }

// NoRetry is asked by go-redis.
func (spoilt) NoRetry() bool { return true }

// SetErr is called by go-redis with the answer.
func (s spoilt) SetErr(error) { s.Cmder.SetErr(errDemoted) }
