package coord_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

const slot = "blocking:signal:coord-b"

func unsigned(at int64) []byte {
	return fmt.Appendf(nil, `{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":%d}`, at)
}

func TestLegacySignalIsAcceptedOnce(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	cfg := coord.Config{AcceptLegacy: true, AllowUnsigned: true, Poll: 10 * time.Millisecond}
	b := join(t, open(t, st, cfg), "coord-b")
	_ = st.SetEX(ctx, slot, unsigned(time.Now().Unix()), 24*time.Hour)
	s, err := b.Wait(ctx, coord.Within(5*time.Second))
	if err != nil || s.Type != "wake" || !s.Legacy {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := b.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(ctx, "blocking:ack:coord-a"); err != nil {
		t.Fatalf("no ACK: %v", err)
	}
	b = join(t, open(t, st, cfg), "coord-b")
	if s, ok := b.TryWait(ctx); ok {
		t.Fatalf("a restart delivered it again: %+v", s)
	}
}

func TestLegacySignalIsRefusedUnlessAskedFor(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	reasons := make(chan string, 10)
	watch := coord.ObserverFunc(func(e coord.Event) {
		if r, ok := e.(coord.SignalRefused); ok {
			reasons <- r.Reason
		}
	})
	b := join(t, open(t, st, coord.Config{AcceptLegacy: true, Observer: watch}), "coord-b")
	_ = st.SetEX(ctx, slot, unsigned(time.Now().UnixMilli()), 24*time.Hour)
	if s, ok := b.TryWait(ctx); ok {
		t.Fatalf("%+v", s)
	}
	if reason := <-reasons; reason != "unsigned" {
		t.Fatalf("refused as %s", reason)
	}
	plain := join(t, open(t, st, coord.Config{}), "coord-b")
	if s, ok := plain.TryWait(ctx); ok {
		t.Fatalf("%+v", s)
	}
}

func TestLegacyBothWays(t *testing.T) {
	ctx := context.Background()
	st := memstore.New()
	b := join(t, open(t, st, coord.Config{AcceptLegacy: true, Poll: 10 * time.Millisecond}), "coord-b")
	a := join(t, open(t, st, coord.Config{EmitLegacy: true}), "coord-a")
	got := make(chan *coord.Signal, 1)
	go func() {
		s, _ := b.Wait(ctx, coord.Within(5*time.Second))
		got <- s
	}()
	ack, err := a.Send(ctx, "coord-b", "wake", nil, coord.Within(5*time.Second))
	if err != nil || ack.From != "coord-b" {
		t.Fatalf("%+v, %v", ack, err)
	}
	if s := <-got; s == nil || s.From != "coord-a" || !s.Legacy {
		t.Fatalf("%+v", s)
	}
}
