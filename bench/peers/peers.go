package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/hibiken/asynq"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store/redisstore"
)

func everybody() []*peer {
	return []*peer{
		{name: "go-redis, bare publish/subscribe", note: "nothing is kept", open: bare},
		{name: "coord, Send to Wait and ACK", note: "durable, signed, acknowledged, handed over once", open: ours},
		{name: "Redis lists, LPUSH and BLPOP", note: "what was popped is gone", open: lists},
		{name: "Redis streams with consumer groups", note: "durable, acknowledged", open: streams},
		{name: "watermill on Redis streams", note: "durable, acknowledged", open: mill},
		{name: "NATS JetStream, file storage", note: "durable, acknowledged", open: jetStream},
		{name: "rueidislock, hand-over of a lock", note: "a lock, no message", open: rueidisLock},
		{name: "redsync, hand-over of a lock", note: "a lock, no message; polls", open: redsyncLock},
		{name: "asynq, a task there and one back", note: "durable; polls", open: tasks},
		{name: "etcd, put and watch", note: "durable; to acknowledge is another put", open: etcdWatch},
	}
}

func bare(e env) (ping, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := e.client(), e.client()
	questions, answers := there.Subscribe(ctx, "ping"), back.Subscribe(ctx, "pong")
	_, err1 := questions.Receive(ctx)
	_, err2 := answers.Receive(ctx)
	if err1 != nil || err2 != nil {
		cancel()
		return nil, nil, fmt.Errorf("%w %w", err1, err2)
	}
	go func() {
		for range questions.Channel() {
			back.Publish(ctx, "pong", "x")
		}
	}()
	got := answers.Channel()
	return func(ctx context.Context) error {
		if err := there.Publish(ctx, "ping", "x").Err(); err != nil {
			return err
		}
		<-got
		return nil
	}, func() { cancel(); _ = there.Close(); _ = back.Close() }, nil
}

func ours(e env) (ping, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	join := func(id string) (*coord.Coordinator, func(), error) {
		driver, err := redisstore.Open(ctx, "redis://"+e.redis)
		if err != nil {
			return nil, nil, err
		}
		c, err := coord.Open(breaker.Wrap(driver), coord.Config{Secret: []byte("0123456789abcdef0123456789abcdef")})
		if err != nil {
			return nil, nil, err
		}
		a, err := c.Join(ctx, id)
		return a, func() { _ = c.Close(); _ = driver.Close() }, err
	}
	b, closeB, err := join("coord-b")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	a, closeA, err := join("coord-a")
	go func() {
		for ctx.Err() == nil {
			_, _ = b.Wait(ctx)
		}
	}()
	return func(ctx context.Context) error {
		_, err := a.Send(ctx, "coord-b", "wake", nil)
		return err
	}, func() { cancel(); closeA(); closeB() }, err
}

func lists(e env) (ping, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := e.client(), e.client()
	go func() {
		for back.BLPop(ctx, time.Minute, "list:ping").Err() == nil {
			back.LPush(ctx, "list:pong", "x")
		}
	}()
	return func(ctx context.Context) error {
		there.LPush(ctx, "list:ping", "x")
		return there.BLPop(ctx, time.Minute, "list:pong").Err()
	}, func() { cancel(); _ = there.Close(); _ = back.Close() }, nil
}

func streams(e env) (ping, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := e.client(), e.client()
	for _, name := range []string{"stream:ping", "stream:pong"} {
		if err := there.XGroupCreateMkStream(ctx, name, "group", "0").Err(); err != nil {
			cancel()
			return nil, nil, err
		}
	}
	add := func(ctx context.Context, c *redis.Client, name string) error {
		return c.XAdd(ctx, &redis.XAddArgs{Stream: name, MaxLen: 1000, Approx: true, Values: []string{"x", "x"}}).Err()
	}
	take := func(ctx context.Context, c *redis.Client, name string) error {
		got, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: "group", Consumer: "one", Streams: []string{name, ">"}, Count: 1, Block: time.Minute,
		}).Result()
		if err != nil {
			return err
		}
		return c.XAck(ctx, name, "group", got[0].Messages[0].ID).Err()
	}
	go func() {
		for take(ctx, back, "stream:ping") == nil {
			_ = add(ctx, back, "stream:pong")
		}
	}()
	return func(ctx context.Context) error {
		if err := add(ctx, there, "stream:ping"); err != nil {
			return err
		}
		return take(ctx, there, "stream:pong")
	}, func() { cancel(); _ = there.Close(); _ = back.Close() }, nil
}

// mill is one publisher and one subscriber for each way.
func mill(e env) (ping, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	logger := watermill.NopLogger{}
	side := func(name string) (*redisstream.Publisher, *redisstream.Subscriber, error) {
		pub, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: e.client()}, logger)
		if err != nil {
			return nil, nil, err
		}
		sub, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{Client: e.client(), ConsumerGroup: name}, logger)
		return pub, sub, err
	}
	pubA, subA, err := side("a")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	pubB, subB, err := side("b")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	questions, err := subB.Subscribe(ctx, "mill:ping")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	answers, err := subA.Subscribe(ctx, "mill:pong")
	go func() {
		for m := range questions {
			m.Ack()
			_ = pubB.Publish("mill:pong", message.NewMessage(watermill.NewUUID(), []byte("x")))
		}
	}()
	return func(ctx context.Context) error {
		if err := pubA.Publish("mill:ping", message.NewMessage(watermill.NewUUID(), []byte("x"))); err != nil {
			return err
		}
		select {
		case m := <-answers:
			m.Ack()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, cancel, err
}

func jetStream(e env) (ping, func(), error) {
	if e.nats == "" {
		return nil, nil, fmt.Errorf("%w: no nats-server on PATH and none at 127.0.0.1:4222", errMissing)
	}
	there, err := nats.Connect(e.nats)
	if err != nil {
		return nil, nil, err
	}
	back, err := nats.Connect(e.nats)
	if err != nil {
		return nil, nil, err
	}
	a, _ := there.JetStream()
	b, _ := back.JetStream()
	stream, prefix := "PEERS", fmt.Sprint("peers", time.Now().UnixNano())
	stream += prefix
	if _, err := a.AddStream(&nats.StreamConfig{Name: stream, Subjects: []string{prefix + ".>"}, MaxMsgs: 10_000}); err != nil {
		return nil, nil, err
	}
	if _, err = b.Subscribe(prefix+".ping", func(m *nats.Msg) {
		_ = m.Ack()
		_, _ = b.Publish(prefix+".pong", []byte("x"))
	}, nats.ManualAck()); err != nil {
		return nil, nil, err
	}
	got := make(chan struct{}, 1)
	_, err = a.Subscribe(prefix+".pong", func(m *nats.Msg) { _ = m.Ack(); got <- struct{}{} }, nats.ManualAck())
	return func(ctx context.Context) error {
		if _, err := a.Publish(prefix+".ping", []byte("x"), nats.Context(ctx)); err != nil {
			return err
		}
		select {
		case <-got:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func() { _ = a.DeleteStream(stream); there.Close(); back.Close() }, err
}

// rueidisLock has two who take a lock in turn: a lets it go, b gets it and lets go, a gets it again.
func rueidisLock(e env) (ping, func(), error) {
	open := func() (rueidislock.Locker, error) {
		return rueidislock.NewLocker(rueidislock.LockerOption{
			ClientOption: rueidis.ClientOption{InitAddress: []string{e.redis}}, KeyMajority: 1, NoLoopTracking: true,
		})
	}
	a, err := open()
	if err != nil {
		return nil, nil, err
	}
	b, err := open()
	if err != nil {
		return nil, nil, err
	}
	_, release, err := a.WithContext(context.Background(), "lock")
	return func(ctx context.Context) error {
		got := make(chan error, 1)
		go func() {
			_, let, err := b.WithContext(ctx, "lock")
			if err == nil {
				let()
			}
			got <- err
		}()
		time.Sleep(50 * time.Microsecond) // b is waiting by then, most of the time
		release()
		if err := <-got; err != nil {
			return err
		}
		var err error
		_, release, err = a.WithContext(ctx, "lock")
		return err
	}, func() { a.Close(); b.Close() }, err
}

func redsyncLock(e env) (ping, func(), error) {
	client := e.client()
	rs := redsync.New(goredis.NewPool(client))
	a, b := rs.NewMutex("redsync"), rs.NewMutex("redsync")
	err := a.Lock()
	return func(ctx context.Context) error {
		got := make(chan error, 1)
		go func() {
			err := b.LockContext(ctx)
			if err == nil {
				_, err = b.UnlockContext(ctx)
			}
			got <- err
		}()
		time.Sleep(50 * time.Microsecond)
		if _, err := a.UnlockContext(ctx); err != nil {
			return err
		}
		if err := <-got; err != nil {
			return err
		}
		return a.LockContext(ctx)
	}, func() { _ = client.Close() }, err
}

func tasks(e env) (ping, func(), error) {
	at := asynq.RedisClientOpt{Addr: e.redis}
	client := asynq.NewClient(at)
	got := make(chan struct{}, 1)
	serve := func(queue string, h func(context.Context, *asynq.Task) error) (*asynq.Server, error) {
		s := asynq.NewServer(at, asynq.Config{Concurrency: 1, Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel})
		return s, s.Start(asynq.HandlerFunc(h))
	}
	b, err := serve("ping", func(ctx context.Context, _ *asynq.Task) error {
		_, err := client.EnqueueContext(ctx, asynq.NewTask("pong", nil), asynq.Queue("pong"))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	a, err := serve("pong", func(context.Context, *asynq.Task) error { got <- struct{}{}; return nil })
	return func(ctx context.Context) error {
		if _, err := client.EnqueueContext(ctx, asynq.NewTask("ping", nil), asynq.Queue("ping")); err != nil {
			return err
		}
		select {
		case <-got:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func() { a.Shutdown(); b.Shutdown(); _ = client.Close() }, err
}
