package conformance

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// late is a LateIndex whose methods a mutant replaces.
type late struct {
	*memstore.Store
	touchFunc  func(ctx context.Context, index string, ttl time.Duration, members ...string) error
	lateFunc   func(ctx context.Context, index string, count int64, limit int) ([]string, error)
	countsFunc func(ctx context.Context, index string, members ...string) ([]int64, error)
	dropFunc   func(ctx context.Context, index string, members ...string) error
}

func (l *late) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	return l.touchFunc(ctx, index, ttl, members...)
}

func (l *late) Late(ctx context.Context, index string, count int64, limit int) ([]string, error) {
	return l.lateFunc(ctx, index, count, limit)
}

func (l *late) Counts(ctx context.Context, index string, members ...string) ([]int64, error) {
	return l.countsFunc(ctx, index, members...)
}

func (l *late) Drop(ctx context.Context, index string, members ...string) error {
	return l.dropFunc(ctx, index, members...)
}

func withLate(mutate func(l *late)) func(*broken) {
	return func(b *broken) {
		l := &late{b.good, b.good.Touch, b.good.Late, b.good.Counts, b.good.Drop}
		mutate(l)
		b.change(func(c *store.Capabilities) { c.Late = l })
	}
}

var lateMutants = []mutant{
	{"an index takes 999 members", "an-index-takes-thousands", withLate(func(l *late) {
		l.dropFunc = func(ctx context.Context, index string, members ...string) error {
			if len(members) > 999 {
				return errors.New("too many variables")
			}
			return l.Store.Drop(ctx, index, members...)
		}
	})},
	{"Touch sorts the caller's members", "members-stay-the-caller's", withLate(func(l *late) {
		l.touchFunc = func(ctx context.Context, index string, ttl time.Duration, members ...string) error {
			slices.Sort(members)
			return l.Store.Touch(ctx, index, ttl, members...)
		}
	})},
	{"every member is a touch", "touches-are-counted", withLate(func(l *late) {
		l.touchFunc = func(ctx context.Context, index string, ttl time.Duration, members ...string) (err error) {
			for _, m := range members {
				err = errors.Join(err, l.Store.Touch(ctx, index, ttl, m))
			}
			return err
		}
	})},
	{"late members come by name", "late-orders-by-touch", withLate(func(l *late) {
		l.lateFunc = func(ctx context.Context, index string, count int64, limit int) ([]string, error) {
			members, err := l.Store.Late(ctx, index, count, limit)
			slices.Sort(members)
			return members, err
		}
	})},
	{"the limit is forgotten", "late-orders-by-touch", withLate(func(l *late) {
		l.lateFunc = func(ctx context.Context, index string, count int64, _ int) ([]string, error) {
			return l.Store.Late(ctx, index, count, 1000)
		}
	})},
	{"late means below", "late-orders-by-touch", withLate(func(l *late) {
		l.lateFunc = func(ctx context.Context, index string, count int64, limit int) ([]string, error) {
			return l.Store.Late(ctx, index, count-1, limit)
		}
	})},
	{"who is not there is left out", "counts-name-the-last-touch", withLate(func(l *late) {
		l.countsFunc = func(ctx context.Context, index string, members ...string) ([]int64, error) {
			counts, err := l.Store.Counts(ctx, index, members...)
			return slices.DeleteFunc(counts, func(n int64) bool { return n == 0 }), err
		}
	})},
	{"a batch leaves touches out", "batch-touches", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Batch = untouched{b.good} })
	}},
	{"Drop drops nobody", "drop-removes-members", withLate(func(l *late) {
		l.dropFunc = func(context.Context, string, ...string) error { return nil }
	})},
	{"Drop counts", "drop-removes-members", withLate(func(l *late) {
		l.dropFunc = func(ctx context.Context, index string, members ...string) error {
			return errors.Join(l.Store.Touch(ctx, index, time.Hour), l.Store.Drop(ctx, index, members...))
		}
	})},
	{"an index lives for ever", "an-index-expires", withLate(func(l *late) {
		l.touchFunc = func(ctx context.Context, index string, ttl time.Duration, members ...string) error {
			return l.Store.Touch(ctx, index, max(ttl, forever), members...)
		}
	})},
	{"an index is not refreshed", "an-index-expires", withLate(func(l *late) {
		var touched atomic.Bool
		l.touchFunc = func(ctx context.Context, index string, ttl time.Duration, members ...string) error {
			if touched.Swap(true) {
				ttl = time.Minute
			}
			return l.Store.Touch(ctx, index, ttl, members...)
		}
	})},
	{"one touch in fifty is lost", "concurrent-touches-are-counted", withLate(func(l *late) {
		var touches atomic.Int64
		l.touchFunc = func(ctx context.Context, index string, ttl time.Duration, members ...string) error {
			if touches.Add(1)%50 == 0 {
				return nil
			}
			return l.Store.Touch(ctx, index, ttl, members...)
		}
	})},
	{"an index ignores its context", "an-index-honours-the-context", withLate(func(l *late) {
		l.dropFunc = func(ctx context.Context, index string, members ...string) error {
			return l.Store.Drop(context.WithoutCancel(ctx), index, members...)
		}
	})},
}

// untouched does batches without their touches.
type untouched struct{ store.Batcher }

func (u untouched) Batch(ctx context.Context, ops []store.Op) []store.Result {
	ops = slices.Clone(ops)
	for i := range ops {
		if ops[i].Kind == store.OpTouch {
			ops[i] = store.PublishOp("nobody", nil)
		}
	}
	return u.Batcher.Batch(ctx, ops)
}
