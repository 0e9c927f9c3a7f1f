package coord_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// mumbling is a store whose answer to the first registration is lost.
type mumbling struct {
	*memstore.Store
	lost bool
}

func (s *mumbling) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Append = s
	return caps
}

func (s *mumbling) Append(ctx context.Context, a store.Append) (int64, error) {
	n, err := s.Store.Append(ctx, a)
	if !s.lost && strings.Contains(a.Tail, "members") {
		s.lost = true
		return 0, errDown
	}
	return n, err
}

// TestLeftInGoodOrder: who left is accused by nobody, however often it had been registered, also by a monitor that starts
// when all who saw it leave are gone.
func TestLeftInGoodOrder(t *testing.T) {
	for name, c := range map[string]struct {
		st    store.Store
		lived time.Duration
	}{
		"after an hour":                      {memstore.New(), time.Hour},
		"after a day, in which it refreshed": {memstore.New(), 24 * time.Hour},
		"registered without an answer":       {breaker.Wrap(&mumbling{Store: memstore.New()}), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				slow := coord.Policy{Beat: time.Minute, TTL: 10 * time.Minute, Stale: 15 * time.Minute, Warnings: 3,
					Spacing: 5 * time.Minute, Window: time.Hour, Check: 5 * time.Minute}
				ctx, seen := t.Context(), &record{}
				a := joinOn(t, c.st, "coord-a", coord.Config{Policy: slow})
				time.Sleep(c.lived)
				if err := a.Leave(ctx); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					time.Sleep(8 * 24 * time.Hour)
					begun, stop := context.WithCancel(ctx)
					m := openOn(t, c.st, coord.Config{Policy: slow, Observer: seen}).Monitor()
					over := make(chan error, 1)
					go func() { over <- m.Run(begun) }()
					time.Sleep(24 * time.Hour)
					stop()
					<-over
				}
				if w, d := of[coord.Warned](seen), of[coord.Dead](seen); len(w)+len(d) > 0 {
					t.Errorf("warned %d times, dead %v", len(w), d)
				}
			})
		})
	}
}
