package coord_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// scriptless is a store whose batches cannot touch.
type scriptless struct{ *memstore.Store }

func (s scriptless) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Batch = s
	return caps
}

func (s scriptless) Batch(ctx context.Context, ops []store.Op) []store.Result {
	ops = slices.Clone(ops)
	for i := range ops {
		if ops[i].Kind == store.OpTouch {
			ops[i] = store.PublishOp("nobody", nil)
		}
	}
	results := s.Store.Batch(ctx, ops)
	for i := range ops {
		if ops[i].Kind == store.OpPublish {
			results[i].Err = errors.ErrUnsupported
		}
	}
	return results
}

// indexless is a store without a late index, whose batches would not know what to do with a touch.
type indexless struct{ *memstore.Store }

func (s indexless) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Late, caps.Batch = nil, s
	return caps
}

func (s indexless) Batch(ctx context.Context, ops []store.Op) []store.Result {
	if slices.ContainsFunc(ops, func(op store.Op) bool { return op.Kind == store.OpTouch }) {
		return slices.Repeat([]store.Result{{Err: errors.New("what is a touch?")}}, len(ops))
	}
	return s.Store.Batch(ctx, ops)
}

// TestBeatsTouchTheLateIndex: at every second beat, in its batch or, where a batch cannot, beside it; and nowhere else.
func TestBeatsTouchTheLateIndex(t *testing.T) {
	for name, tt := range map[string]struct {
		around func(*memstore.Store) store.Store
		want   int64
	}{
		"in the batch":      {func(m *memstore.Store) store.Store { return m }, 3},
		"beside the batch":  {func(m *memstore.Store) store.Store { return scriptless{m} }, 3},
		"there is no index": {func(m *memstore.Store) store.Store { return indexless{m} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				mem, w := memstore.New(), &record{}
				a := joinOn(t, tt.around(mem), "coord-a", coord.Config{Observer: w})
				time.Sleep(6*coord.DefaultPolicy().Beat - time.Second) // beats 2 to 6
				counts, err := mem.Counts(t.Context(), "blocking:{late}", "coord-a/1")
				if err != nil || counts[0] != tt.want {
					t.Errorf("touched %d times, want %d; %v", counts[0], tt.want, err)
				}
				for _, b := range of[coord.Beat](w) {
					if b.Err != nil {
						t.Errorf("a beat failed: %v", b.Err)
					}
				}
				if err := a.Suspended(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// severed is a store whose batches, and so the beats, are cut off.
type severed struct {
	*memstore.Store
	down atomic.Bool
}

func (s *severed) Capabilities() store.Capabilities {
	caps := s.Store.Capabilities()
	caps.Batch = s
	return caps
}

func (s *severed) Batch(ctx context.Context, ops []store.Op) []store.Result {
	if s.down.Load() {
		return slices.Repeat([]store.Result{{Err: errDown}}, len(ops))
	}
	return s.Store.Batch(ctx, ops)
}

// TestMonitorWithALateIndex: among so many that only the late are read, the dead are found within the bounds, and nobody
// else; also those whom the index does not know.
func TestMonitorWithALateIndex(t *testing.T) {
	in(t, func(t *testing.T) {
		mem, w := memstore.New(), &record{}
		living, cut := openOn(t, mem, coord.Config{}), &severed{Store: mem}
		for i := range 600 {
			must(living.Join(t.Context(), fmt.Sprint("alive-", i)))
		}
		stranger := newUnsteady()
		stranger.inner.Store(mem)
		joinOn(t, cut, "known", coord.Config{})
		joinOn(t, stranger, "stranger", coord.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = openOn(t, mem, coord.Config{Observer: w}).Monitor().Run(ctx) }()
		time.Sleep(5 * time.Minute)
		cut.down.Store(true)
		stranger.down.Store(true)
		low, high := coord.DefaultPolicy().Bounds()
		if time.Sleep(low - time.Second); len(of[coord.Dead](w)) > 0 {
			t.Errorf("found before %v", low)
		}
		time.Sleep(high - low + time.Second)
		dead := of[coord.Dead](w)
		if len(dead) != 2 || dead[0].ID == dead[1].ID || len(of[coord.Warned](w)) != 6 {
			t.Errorf("%+v, %d warnings", dead, len(of[coord.Warned](w)))
		}
		cancel()
	})
}
