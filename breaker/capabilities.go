package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

type appender struct {
	inner store.Appender
	to    *guarded
}

// Append is store.Appender.Append. A retry may leave the entry under several numbers, or numbers without an entry.
// errors.ErrUnsupported (the server refuses scripts) is passed on.
func (a *appender) Append(ctx context.Context, e store.Append) (n int64, err error) {
	err = a.to.do(ctx, "Append", e.Tail, func(ctx context.Context) (err error) {
		n, err = a.inner.Append(ctx, e)
		return err
	})
	return n, err
}

type lateIndex struct {
	inner store.LateIndex
	to    *guarded
}

func (l *lateIndex) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	return l.to.do(ctx, "Touch", index, func(ctx context.Context) error {
		return l.inner.Touch(ctx, index, ttl, members...)
	})
}

func (l *lateIndex) Count(ctx context.Context, index string) (n int64, err error) {
	err = l.to.do(ctx, "Count", index, func(ctx context.Context) (err error) {
		n, err = l.inner.Count(ctx, index)
		return err
	})
	return n, err
}

func (l *lateIndex) Counts(ctx context.Context, index string, members ...string) (counts []int64, err error) {
	err = l.to.do(ctx, "Counts", index, func(ctx context.Context) (err error) {
		counts, err = l.inner.Counts(ctx, index, members...)
		return err
	})
	return counts, err
}

func (l *lateIndex) Late(ctx context.Context, index string, count int64, limit int) (members []string, err error) {
	err = l.to.do(ctx, "Late", index, func(ctx context.Context) (err error) {
		members, err = l.inner.Late(ctx, index, count, limit)
		return err
	})
	return members, err
}

func (l *lateIndex) Drop(ctx context.Context, index string, members ...string) error {
	return l.to.do(ctx, "Drop", index, func(ctx context.Context) error {
		return l.inner.Drop(ctx, index, members...)
	})
}

type batcher struct {
	inner store.Batcher
	to    *guarded
}

// Batch is store.Batcher.Batch. It is retried as a whole when any of its results is a failure; the results are the last
// attempt's, and each failure among them is replaced by the error of the whole.
func (b *batcher) Batch(ctx context.Context, ops []store.Op) (results []store.Result) {
	if len(ops) == 0 {
		return nil
	}
	err := b.to.do(ctx, "Batch from", ops[0].Key, func(ctx context.Context) error {
		results = b.inner.Batch(ctx, ops)
		return batchError(ops, results)
	})
	return spread(ops, results, err)
}

// errNoAnswer is the verdict on a batch that says nothing about the store: it held hints only, which never fail.
var errNoAnswer = errors.New("breaker: the batch had no answer to give")

// batchError is the verdict on a batch: a failure if there is one, else nil if there is an answer, else what says nothing.
func batchError(ops []store.Op, results []store.Result) error {
	if len(results) != len(ops) {
		return fmt.Errorf("breaker: the store gave %d results for %d operations", len(results), len(ops))
	}
	verdict, err := silent, errNoAnswer
	for i, r := range results {
		if ops[i].Kind == store.OpPublish {
			continue
		}
		if v := judge(r.Err); v > verdict {
			verdict, err = v, r.Err
		}
	}
	return err
}

// spread puts err in the place of every failure. Where there was no attempt, everything failed; but hints never do.
func spread(ops []store.Op, results []store.Result, err error) []store.Result {
	if len(results) != len(ops) {
		results = make([]store.Result, len(ops))
		for i := range results {
			results[i].Err = err
		}
	}
	for i := range results {
		if ops[i].Kind == store.OpPublish {
			results[i].Err = nil
		} else if judge(results[i].Err) == failed {
			results[i].Err = err
		}
	}
	return results
}
