package ticketlog_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store/memstore"
)

var (
	names = keys.In("t").Mailbox("r")
	times = ticketlog.Times{Entry: 24 * time.Hour, Tail: 48 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second}
)

func fixture() (*memstore.Store, *memstore.FakeClock, ticketlog.Log) {
	clock := memstore.NewFakeClock(time.Time{})
	mem := memstore.New(memstore.WithClock(clock))
	return mem, clock, ticketlog.Log{Store: mem, Keys: names, Times: times, Now: clock.Now}
}

func TestAReaderWithoutAPositionFindsWhatIsThere(t *testing.T) {
	ctx := context.Background()
	mem, clock, log := fixture()
	for i := range 5000 {
		n, err := log.Append(ctx, []byte(fmt.Sprint(i)), "")
		if err != nil {
			t.Fatal(err)
		}
		if n%1000 != 0 {
			_, _ = mem.Expire(ctx, names.Entry(n), 0)
		}
	}
	r := ticketlog.Reader{Log: log}
	if err := r.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Read(ctx); len(e) != 0 || err != nil {
		t.Fatalf("read %d entries, %v, while a writer may still be writing", len(e), err)
	}
	clock.Advance(times.Skip/2 + time.Second)
	e, err := r.Read(ctx)
	if err != nil || len(e) != 5 {
		t.Fatalf("read %d entries, %v; want 5", len(e), err)
	}
}

func TestACounterFarAheadIsNoPanic(t *testing.T) {
	ctx := context.Background()
	mem, clock, log := fixture()
	if err := mem.SetEX(ctx, names.Tail, []byte("9000000000000000000"), time.Hour); err != nil {
		t.Fatal(err)
	}
	r := ticketlog.Reader{Log: log}
	for range 3 {
		if _, err := r.Read(ctx); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
	}
	if _, err := log.Append(ctx, []byte("x"), ""); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Read(ctx); err != nil || len(e) != 1 {
		t.Fatalf("read %d entries, %v; want 1", len(e), err)
	}
}

func TestACounterThatWentBackIsReported(t *testing.T) {
	ctx := context.Background()
	mem, _, log := fixture()
	for range 3 {
		_, _ = log.Append(ctx, []byte("x"), "")
	}
	r := ticketlog.Reader{Log: log}
	_, _ = r.Read(ctx)
	_ = mem.SetEX(ctx, names.Tail, []byte("1"), time.Hour)
	if _, err := r.Read(ctx); !errors.Is(err, ticketlog.ErrRegressed) {
		t.Fatalf("err = %v, want ErrRegressed", err)
	}
}

// A hole that the counter fell behind is a ticket like any that is still to come: looked at before its time, it would
// carry the position past the counter, and every other read would report the same loss again.
func TestACounterThatWentBackBelowAHoleIsReportedOnce(t *testing.T) {
	ctx := context.Background()
	for name, grace := range map[string]time.Duration{"closed in time": times.Grace, "never closed": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			mem, clock, log := fixture()
			log.Times.Grace = grace
			for range 8 {
				_, _ = log.Append(ctx, []byte("x"), "")
			}
			_, _ = mem.Incr(ctx, names.Tail) // ticket 9: its writer dies
			r := ticketlog.Reader{Log: log}
			if e, err := r.Read(ctx); err != nil || len(e) != 8 {
				t.Fatalf("read %d entries, %v; want 8", len(e), err)
			}
			_ = mem.SetEX(ctx, names.Tail, []byte("5"), time.Hour)
			if _, err := r.Read(ctx); !errors.Is(err, ticketlog.ErrRegressed) {
				t.Fatalf("err = %v, want ErrRegressed", err)
			}
			for n := int64(6); n <= 12; n++ {
				for range 3 {
					clock.Advance(time.Second)
					if e, err := r.Read(ctx); err != nil || slices.ContainsFunc(e, isNew) {
						t.Fatalf("before ticket %d: read %v, %v", n, e, err)
					}
				}
				if got, err := log.Append(ctx, []byte("new"), ""); err != nil || got != n {
					t.Fatalf("ticket %d, %v; want %d", got, err, n)
				}
				if e, err := r.Read(ctx); err != nil || !slices.ContainsFunc(e, isNew) {
					t.Fatalf("ticket %d: read %v, %v; want the new entry", n, e, err)
				}
			}
		})
	}
}

func isNew(e ticketlog.Entry) bool { return string(e.Value) == "new" }

// A hint's number is not signed: a reader that believed one still reads what stands there, and is not misled by a
// number that nobody ever took.
func TestALyingHintHidesNothing(t *testing.T) {
	ctx := context.Background()
	_, _, log := fixture()
	r := ticketlog.Reader{Log: log}
	if !r.Offer(1) || r.Offer(3) || r.Lowest() != 1 {
		t.Fatalf("lowest = %d after a hint for 1", r.Lowest())
	}
	if _, err := r.Read(ctx); err != nil {
		t.Fatalf("a ticket that only a hint spoke of looks like a loss: %v", err)
	}
	_, _ = log.Append(ctx, []byte("true"), "")
	if e, err := r.Read(ctx); err != nil || len(e) != 1 || string(e[0].Value) != "true" {
		t.Fatalf("read %v, %v", e, err)
	}
	_, _ = log.Append(ctx, []byte("second"), "")
	if !r.Offer(2) {
		t.Fatal("the next ticket was not taken")
	}
	if e, err := r.Verify(ctx); err != nil || len(e) != 1 || string(e[0].Value) != "second" || r.Lowest() != 3 {
		t.Fatalf("verified %v, %v; lowest %d", e, err, r.Lowest())
	}
}
