package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

func command1(i int) *redis.IntCmd { return redis.NewIntCmd(context.Background(), "incr", i) }

// Whoever comes during a trip leaves with all the others as the next one, each command once, each caller in order.
func TestCombinerGathersThoseWhoWait(t *testing.T) {
	t.Parallel()
	const callers = 20
	under, release := make(chan struct{}, callers), make(chan struct{})
	var trips atomic.Int64
	c := &combiner{timeout: time.Second}
	c.trip = func(_ context.Context, cmds []redis.Cmder) {
		if trips.Add(1); len(cmds) == 1 {
			under <- struct{}{}
			<-release
		}
		for i, cmd := range cmds {
			cmd.SetErr(fmt.Errorf("trip %d, place %d", trips.Load(), i))
		}
	}
	var group sync.WaitGroup
	first := command1(0)
	group.Go(func() { c.send(t.Context(), []redis.Cmder{first}) })
	<-under
	pairs := make([][2]*redis.IntCmd, callers)
	for i := range pairs {
		pairs[i] = [2]*redis.IntCmd{command1(i), command1(i)}
		group.Go(func() { c.send(t.Context(), []redis.Cmder{pairs[i][0], pairs[i][1]}) })
	}
	eventually(t, "all wait", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == callers })
	close(release)
	group.Wait()
	if trips.Load() != 2 || first.Err() == nil {
		t.Fatalf("%d trips, want 2", trips.Load())
	}
	for i, p := range pairs {
		var trip, one, two int
		_, _ = fmt.Sscanf(fmt.Sprint(p[0].Err()), "trip %d, place %d", &trip, &one)
		_, _ = fmt.Sscanf(fmt.Sprint(p[1].Err()), "trip %d, place %d", &trip, &two)
		if trip != 2 || two != one+1 {
			t.Errorf("caller %d: %v, %v", i, p[0].Err(), p[1].Err())
		}
	}
	if c.under != 0 || len(c.queue) != 0 {
		t.Errorf("left behind: %d under way, %d waiting", c.under, len(c.queue))
	}
}

func TestCombinerTakes(t *testing.T) {
	t.Parallel()
	c := &combiner{timeout: time.Second}
	hasty, cancel := context.WithTimeout(t.Context(), time.Second/4)
	defer cancel()
	easy, cancelEasy := context.WithTimeout(t.Context(), time.Hour)
	defer cancelEasy()
	one, many := make([]redis.Cmder, 1), make([]redis.Cmder, bulk+1)
	if !c.takes(t.Context(), one) || !c.takes(easy, one) || c.takes(hasty, one) || c.takes(easy, many) || (*combiner)(nil).takes(easy, one) {
		t.Error("takes whom it should not, or not whom it should")
	}
}

// What one caller does wrong is nobody else's business, and a cancelled caller ends nobody else's trip.
func TestCombinedCallersAreIndependent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, server.URL())
	ctx := t.Context()
	must(t, s.SetEX(ctx, "text", []byte("x"), hour))
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for j := range 200 {
				mine, cancel := context.WithCancel(ctx)
				switch i % 4 {
				case 0:
					if _, err := s.Incr(mine, "text"); !errors.Is(err, store.ErrNotInteger) {
						t.Errorf("Incr of a text: %v", err)
					}
				case 1:
					go cancel()
					_, _ = s.Get(mine, "text")
				default:
					if n, err := s.Incr(mine, fmt.Sprint("n", i)); n != int64(j+1) || err != nil {
						t.Errorf("Incr = %d, %v, want %d", n, err, j+1)
					}
				}
				cancel()
			}
		})
	}
	group.Wait()
}

func TestCombinedCallersEndAtASilentServer(t *testing.T) {
	t.Parallel()
	s := opened(t, "redis://"+redistest.BlackHole(t), WithTimeout(200*time.Millisecond))
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			began, limit := time.Now(), 2*s.timeout
			ctx, cancel := t.Context(), func() {}
			if i%2 == 0 { // these have no time to wait for others
				ctx, cancel = context.WithTimeout(ctx, s.timeout/4)
				limit = s.timeout / 4
			}
			defer cancel()
			_, err := s.Get(ctx, "k")
			if took := time.Since(began); err == nil || took > limit+time.Second {
				t.Errorf("%v after %v, want an error within %v", err, took, limit)
			}
		})
	}
	group.Wait()
}
