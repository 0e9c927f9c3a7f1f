package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store/memstore"
)

// BenchmarkCheck is a Check among many who are on time, on a store that costs nearly nothing.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			clock := memstore.NewFakeClock(time.Time{})
			mem := memstore.New(memstore.WithClock(clock))
			log := ticketlog.Log{Store: mem, Keys: space.Members(), Times: times, Now: clock.Now}
			names := make([]string, n)
			for i := range n {
				id := fmt.Sprintf("m-%06d", i)
				names[i] = keys.Indexed(id, 1)
				must(log.Append(ctx, must(envelope.AppendMember(nil, ring, &envelope.Member{ID: id, Incarnation: 1, Session: "s"})), ""))
			}
			w := &detect.Watch{Store: mem, Space: space, Ring: ring, Policy: defaults, Times: times, Now: clock.Now, Few: 1}
			for seq := uint64(1); seq < 10; seq++ {
				beatAll(mem, n, seq)
				_ = mem.Touch(ctx, space.Late(), time.Hour, names...)
				must(w.Check(ctx))
				clock.Advance(defaults.Check)
			}
			for b.Loop() {
				_ = mem.Touch(ctx, space.Late(), time.Hour, names[:1]...)
				b.StopTimer()
				_ = mem.Touch(ctx, space.Late(), time.Hour, names...)
				b.StartTimer()
				must(w.Check(ctx))
				clock.Advance(defaults.Check)
			}
		})
	}
}

func beatAll(mem *memstore.Store, n int, seq uint64) {
	for i := range n {
		id := fmt.Sprintf("m-%06d", i)
		_ = mem.SetEX(ctx, space.Heartbeat(id), must(envelope.AppendHeartbeat(nil, ring, &envelope.Heartbeat{
			ID: id, Incarnation: 1, Session: "s", Seq: seq, Status: "alive",
		})), time.Hour)
	}
}
