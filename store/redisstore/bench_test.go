package redisstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

var busyness = []int{1, 16, 64}

// BenchmarkPairs is a signal and its acknowledgement: an append whose hint wakes the receiver, whose batch of value and
// hint wakes the sender. "bare" is go-redis with default settings, publishing and subscribing only.
func BenchmarkPairs(b *testing.B) {
	server := redistest.Start(b, redistest.WithoutPersistence())
	for _, n := range busyness {
		b.Run(fmt.Sprintf("bare/%d", n), func(b *testing.B) { benchBare(b, server.URL(), n) })
		for _, combine := range []bool{false, true} {
			b.Run(fmt.Sprintf("combine=%t/%d", combine, n), func(b *testing.B) {
				s := opened(b, server.URL(), func(set *settings) { set.combine = combine })
				benchPairs(b, n, func(i int) func() { return signalPair(b, s, i) })
			})
		}
	}
}

// BenchmarkIncr is the smallest trip.
func BenchmarkIncr(b *testing.B) {
	server := redistest.Start(b, redistest.WithoutPersistence())
	for _, n := range busyness {
		for _, combine := range []bool{false, true} {
			b.Run(fmt.Sprintf("combine=%t/%d", combine, n), func(b *testing.B) {
				s := opened(b, server.URL(), func(set *settings) { set.combine = combine })
				benchPairs(b, n, func(i int) func() {
					key := fmt.Sprint("n:", i)
					return func() {
						if _, err := s.Incr(context.Background(), key); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// benchPairs divides b.N rounds among n goroutines.
func benchPairs(b *testing.B, n int, open func(i int) (round func())) {
	rounds := make([]func(), n)
	for i := range rounds {
		rounds[i] = open(i)
		rounds[i]()
	}
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for i, round := range rounds {
		group.Go(func() {
			for range b.N/n + min(1, max(0, b.N%n-i)) {
				round()
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rounds/s")
}

func signalPair(b *testing.B, s *Store, i int) func() {
	ctx := context.Background()
	to, back := fmt.Sprintf("{%d}to", i), fmt.Sprintf("{%d}back", i)
	there, here := inbox(b, s, to), inbox(b, s, back)
	payload := make([]byte, 400)
	serve, stop := make(chan struct{}), make(chan struct{})
	b.Cleanup(func() { close(stop); <-serve })
	go func() {
		defer close(serve)
		for {
			select {
			case <-there:
				s.Batch(ctx, []store.Op{store.SetEXOp(back, payload, hour), store.PublishOp(back, payload)})
			case <-stop:
				return
			}
		}
	}()
	a := store.Append{Tail: to, TailTTL: hour, Entry: to + ":", Value: payload, TTL: hour, Channel: to}
	return func() {
		if _, err := s.Append(ctx, a); err != nil {
			b.Error(err)
		}
		<-here
	}
}

func inbox(b *testing.B, s *Store, channel string) <-chan struct{} {
	got, stands := make(chan struct{}, 8), make(chan struct{})
	once := sync.OnceFunc(func() { close(stands) })
	b.Cleanup(s.Subscribe(channel, func(payload []byte) {
		if payload == nil {
			once()
			return
		}
		got <- struct{}{}
	}))
	<-stands
	return got
}

func benchBare(b *testing.B, url string, n int) {
	c := clientOf(b, url)
	ctx := context.Background()
	payload := make([]byte, 400)
	subscribe := func(channel string) <-chan *redis.Message {
		ps := c.Subscribe(ctx, channel)
		_, err := ps.Receive(ctx)
		must(b, err)
		b.Cleanup(func() { _ = ps.Close() })
		return ps.Channel()
	}
	benchPairs(b, n, func(i int) func() {
		to, back := fmt.Sprint("to:", i), fmt.Sprint("back:", i)
		there, here := subscribe(to), subscribe(back)
		go func() {
			for range there {
				c.Publish(ctx, back, payload)
			}
		}()
		return func() { c.Publish(ctx, to, payload); <-here }
	})
}
