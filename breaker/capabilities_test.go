package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// capable is a flaky store whose capabilities are flaky too.
type capable struct {
	*flaky
	mem  *memstore.Store
	caps store.Capabilities
	part []store.Result // what the next batch answers, where set
}

func newCapable(rest answer, script ...answer) *capable {
	mem := memstore.New()
	f := newFlaky(rest, script...)
	f.Store = mem
	c := &capable{flaky: f, mem: mem, caps: mem.Capabilities()}
	c.caps.Batch, c.caps.Append, c.caps.Late = c, c, c
	return c
}

func (c *capable) Capabilities() store.Capabilities { return c.caps }

func (c *capable) Batch(ctx context.Context, ops []store.Op) []store.Result {
	if err := c.meet(ctx); err != nil {
		results := c.part
		if results == nil {
			results = make([]store.Result, len(ops))
			for i := range results {
				results[i].Err = err
			}
		}
		return results
	}
	return c.mem.Capabilities().Batch.Batch(ctx, ops)
}

func (c *capable) Append(ctx context.Context, a store.Append) (int64, error) {
	if err := c.meet(ctx); err != nil {
		return 0, err
	}
	return c.mem.Append(ctx, a)
}

func (c *capable) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	if err := c.meet(ctx); err != nil {
		return err
	}
	return c.mem.Touch(ctx, index, ttl, members...)
}

func (c *capable) Count(ctx context.Context, index string) (int64, error) {
	if err := c.meet(ctx); err != nil {
		return 0, err
	}
	return c.mem.Count(ctx, index)
}

func (c *capable) Counts(ctx context.Context, index string, members ...string) ([]int64, error) {
	if err := c.meet(ctx); err != nil {
		return nil, err
	}
	return c.mem.Counts(ctx, index, members...)
}

func (c *capable) Late(ctx context.Context, index string, count int64, limit int) ([]string, error) {
	if err := c.meet(ctx); err != nil {
		return nil, err
	}
	return c.mem.Late(ctx, index, count, limit)
}

func (c *capable) Drop(ctx context.Context, index string, members ...string) error {
	if err := c.meet(ctx); err != nil {
		return err
	}
	return c.mem.Drop(ctx, index, members...)
}

// through calls every guarded capability.
func through(ctx context.Context, caps store.Capabilities) map[string]error {
	append1 := store.Append{Tail: "t", TailTTL: time.Hour, Entry: "e", TTL: time.Hour}
	_, appended := caps.Append.Append(ctx, append1)
	_, counted := caps.Late.Count(ctx, "i")
	_, counts := caps.Late.Counts(ctx, "i", "m")
	_, late := caps.Late.Late(ctx, "i", 1, 1)
	return map[string]error{
		"Batch":  store.FirstError(caps.Batch.Batch(ctx, []store.Op{store.IncrOp("n"), store.GetOp("none")})),
		"Append": appended,
		"Touch":  caps.Late.Touch(ctx, "i", time.Hour, "m"),
		"Count":  counted,
		"Counts": counts,
		"Late":   late,
		"Drop":   caps.Late.Drop(ctx, "i", "m"),
	}
}

func TestCapabilitiesAreGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapable(answer{})
		caps := breaker.Wrap(c).Capabilities()
		for name, err := range through(t.Context(), caps) {
			if err != nil {
				t.Errorf("%s on a good store: %v", name, err)
			}
		}
		c.set(answer{errDown, never})
		_ = caps.Late.Drop(t.Context(), "i", "m")
		before, begun := len(c.attempts()), time.Now()
		for name, err := range through(t.Context(), caps) {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s through an open breaker: %v", name, err)
			}
		}
		if len(c.attempts()) != before || time.Since(begun) != 0 {
			t.Error("an open breaker let a capability through")
		}
		c.set(answer{})
		for name, err := range through(t.Context(), store.CapabilitiesOf(caps.Once)) {
			if err != nil {
				t.Errorf("Once's %s through an open breaker: %v", name, err)
			}
		}
	})
}

func TestCapabilitiesAreTheSameOnEveryCall(t *testing.T) {
	c := newCapable(answer{})
	b := breaker.Wrap(c)
	x, y := b.Capabilities(), b.Capabilities()
	if x != y || x.Once != b.Once() || store.CapabilitiesOf(x.Once).Once != b.Once() {
		t.Error("they differ")
	}
	if x.Hints != c.caps.Hints || x.Clock != c.caps.Clock {
		t.Error("hints and clock are not passed through")
	}
}

func TestMissingCapabilitiesStayMissing(t *testing.T) {
	caps := breaker.Wrap(struct{ store.Store }{memstore.New()}).Capabilities()
	if caps.Batch != nil || caps.Append != nil || caps.Late != nil || caps.Hints != nil || caps.Clock != nil {
		t.Errorf("got %+v", caps)
	}
	if caps.Once == nil || caps.Notices == nil {
		t.Error("the breaker's own are missing")
	}
}

func TestOnceWrapsTheStoresOwn(t *testing.T) {
	c, own := newCapable(answer{errDown, 0}), newFlaky(answer{})
	c.caps.Once = own
	if err := op(t.Context(), breaker.Wrap(c).Once(), 0); err != nil {
		t.Fatal(err)
	}
	if len(own.attempts()) != 1 || len(c.attempts()) != 0 {
		t.Error("the beat went by the wrong connection")
	}
}

// A server that refuses scripts is well.
func TestUnsupportedAppendIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapable(answer{err: errors.ErrUnsupported})
		b := breaker.Wrap(c)
		for range 10 {
			if _, err := b.Capabilities().Append.Append(t.Context(), store.Append{}); !errors.Is(err, errors.ErrUnsupported) {
				t.Fatal(err)
			}
		}
		c.set(answer{})
		if err := op(t.Context(), b, 0); err != nil || len(c.attempts()) != 11 {
			t.Errorf("%v after %d attempts", err, len(c.attempts()))
		}
	})
}

func TestBatchIsRetriedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapable(answer{}, answer{err: errDown}, answer{err: errDown})
		c.part = []store.Result{{N: 1}, {Err: errDown}, {Err: errDown}}
		ops := []store.Op{store.IncrOp("n"), store.SetEXOp("k", nil, time.Hour), store.GetOp("none")}
		results := breaker.Wrap(c).Capabilities().Batch.Batch(t.Context(), ops)
		if results[0].N != 1 || results[1].Err != nil || !errors.Is(results[2].Err, store.ErrNotFound) {
			t.Errorf("got %+v", results)
		}
		if took := time.Since(c.start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// What succeeded in the last attempt is told; what failed is wrapped; hints never fail.
func TestBatchResults(t *testing.T) {
	ops := []store.Op{store.IncrOp("n"), store.GetOp("k"), store.GetOp("l"), store.PublishOp("c", nil)}
	good := []store.Result{{N: 7}, {Err: store.ErrNotFound}, {}, {}}
	partly := []store.Result{{N: 7}, {Err: store.ErrNotFound}, {Err: errDown}, {}}
	lost := []store.Result{{Err: errDown}, {Err: errDown}, {Err: errDown}, {}}
	tests := []struct {
		name string
		part []store.Result
		want []error
	}{
		{"all well", good, []error{nil, store.ErrNotFound, nil, nil}},
		{"partly", partly, []error{nil, store.ErrNotFound, store.ErrUnavailable, nil}},
		{"lost", lost, []error{store.ErrUnavailable, store.ErrUnavailable, store.ErrUnavailable, nil}},
		{"a driver that miscounts", good[:2], []error{store.ErrUnavailable, store.ErrUnavailable, store.ErrUnavailable, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCapable(answer{err: errDown})
				c.part = append([]store.Result(nil), tt.part...)
				results := breaker.Wrap(c).Capabilities().Batch.Batch(t.Context(), ops)
				for i, r := range results {
					if !errors.Is(r.Err, tt.want[i]) {
						t.Errorf("result %d: %v, want %v", i, r.Err, tt.want[i])
					}
				}
			})
		})
	}
}

// A batch of hints succeeds whatever the store's health, so its success must not close a breaker or reset its count.
func TestABatchOfHintsSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapable(answer{err: errDown})
		c.part = []store.Result{{}}
		b := breaker.Wrap(c, breaker.Retries(0))
		for i := range 5 {
			_ = op(t.Context(), b, i)
			_ = b.Capabilities().Batch.Batch(t.Context(), []store.Op{store.PublishOp("c", nil)})
		}
		if err := refused(c.flaky, b); err != nil {
			t.Error(err)
		}
		if results := b.Capabilities().Batch.Batch(t.Context(), nil); results != nil {
			t.Errorf("an empty batch: %v", results)
		}
	})
}
