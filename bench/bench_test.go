// The same under the testing package: go test -bench . ./bench
package main_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
	"github.com/blocking-coordination/coord/store/redisstore"
	"github.com/redis/go-redis/v9"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func client(b *testing.B, st store.Store) *coord.Client {
	c, err := coord.Open(st, coord.Config{Secret: secret})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func join(b *testing.B, c *coord.Client, id string) *coord.Coordinator {
	a, err := c.Join(context.Background(), id)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

func overRedis(b *testing.B, url string) *coord.Client {
	st, err := redisstore.Open(context.Background(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	return client(b, breaker.Wrap(st))
}

// sendWait is n pairs of coordinators, one sending and one waiting; an operation is one signal and its ACK.
func sendWait(b *testing.B, sender, receiver *coord.Client, pairs int) {
	ctx, cancel := context.WithCancel(context.Background())
	senders := make(chan *coord.Coordinator, pairs)
	to := map[*coord.Coordinator]string{}
	for i := range pairs {
		a, r := join(b, sender, fmt.Sprintf("a%d", i)), join(b, receiver, fmt.Sprintf("b%d", i))
		go func() {
			for ctx.Err() == nil {
				_, _ = r.Wait(ctx)
			}
		}()
		if _, err := a.Send(ctx, r.ID(), "warm", nil); err != nil {
			b.Fatal(err)
		}
		to[a] = r.ID()
		senders <- a
	}
	b.SetParallelism(max(pairs/2, 1))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a := <-senders
			if _, err := a.Send(ctx, to[a], "wake", nil, coord.Within(10*time.Second)); err != nil {
				b.Error(err)
			}
			senders <- a
		}
	})
	b.StopTimer()
	cancel()
}

func BenchmarkMemory(b *testing.B) {
	st := memstore.New()
	sendWait(b, client(b, st), client(b, st), 1)
}

func BenchmarkRedis(b *testing.B) {
	url := redistest.Start(b, redistest.WithoutPersistence()).URL()
	for _, pairs := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("pairs=%d", pairs), func(b *testing.B) {
			sendWait(b, overRedis(b, url), overRedis(b, url), pairs)
		})
	}
}

// BenchmarkBarePubSub is the yardstick: go-redis's publish and subscribe there and back, unsigned and kept nowhere.
func BenchmarkBarePubSub(b *testing.B) {
	ctx := context.Background()
	s := redistest.Start(b, redistest.WithoutPersistence())
	open := func() *redis.Client { return redis.NewClient(&redis.Options{Addr: s.Addr}) }
	there, back := open(), open()
	defer there.Close()
	defer back.Close()
	pings, pongs := back.Subscribe(ctx, "ping"), there.Subscribe(ctx, "pong")
	_, _ = pings.Receive(ctx)
	_, _ = pongs.Receive(ctx)
	go func() {
		for range pings.Channel() {
			back.Publish(ctx, "pong", "x")
		}
	}()
	answers := pongs.Channel()
	for b.Loop() {
		there.Publish(ctx, "ping", "x")
		<-answers
	}
	_ = pings.Close()
	_ = pongs.Close()
}
