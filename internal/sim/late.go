package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// late is the world's late index as an actor sees it.
type late struct{ *faulty }

func (l late) index() store.LateIndex { return store.CapabilitiesOf(l.mem()).Late }

func (l late) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	return l.do(fmt.Sprint("Touch ", index, " ", members), true, func() (string, error) {
		return "", l.index().Touch(ctx, index, ttl, members...)
	})
}

func (l late) Count(ctx context.Context, index string) (n int64, err error) {
	err = l.do("Count "+index, false, func() (s string, err error) {
		n, err = l.index().Count(ctx, index)
		return fmt.Sprint(n), err
	})
	return n, err
}

func (l late) Counts(ctx context.Context, index string, members ...string) (counts []int64, err error) {
	err = l.do(fmt.Sprint("Counts ", index, " ", members), false, func() (s string, err error) {
		counts, err = l.index().Counts(ctx, index, members...)
		return fmt.Sprint(counts), err
	})
	return counts, err
}

func (l late) Late(ctx context.Context, index string, count int64, limit int) (members []string, err error) {
	err = l.do(fmt.Sprintf("Late %s %d", index, count), false, func() (s string, err error) {
		members, err = l.index().Late(ctx, index, count, limit)
		return fmt.Sprint(members), err
	})
	return members, err
}

func (l late) Drop(ctx context.Context, index string, members ...string) error {
	return l.do(fmt.Sprint("Drop ", index, " ", members), true, func() (string, error) {
		return "", l.index().Drop(ctx, index, members...)
	})
}
