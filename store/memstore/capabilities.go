package memstore

import (
	"context"
	"strconv"

	"github.com/blocking-coordination/coord/store"
)

// Capabilities implements store.Capable: Batch, Append, Hints, Late and Clock. Once and Notices are nil, since nothing
// is retried and nothing fails.
func (s *Store) Capabilities() store.Capabilities {
	return store.Capabilities{Batch: s, Append: s, Hints: s, Late: s, Clock: s.clock}
}

// withoutBatch is the store as the fallback of store.Batch sees it.
type withoutBatch struct{ *Store }

func (s withoutBatch) Capabilities() store.Capabilities {
	return store.Capabilities{Hints: s.Store, Late: s.Store}
}

// Batch implements store.Batcher. In memory a trip costs nothing, so it is the fallback: one operation after another.
func (s *Store) Batch(ctx context.Context, ops []store.Op) []store.Result {
	return store.Batch(ctx, withoutBatch{s}, ops)
}

// Append implements store.Appender. A TailTTL or TTL that is not positive is store.ErrInvalidTTL; nothing was changed.
// Subscribers are called as by Publish, before Append returns.
func (s *Store) Append(ctx context.Context, a store.Append) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	n, subscribers, err := s.append(a)
	for _, sub := range subscribers {
		sub.call(store.AppendHint(n, a.Value))
	}
	return n, err
}

// append is the atomic part. Everything that can fail comes before the first change.
func (s *Store) append(a store.Append) (int64, []*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	tail, err := deadlineAfter(now, a.TailTTL)
	if err != nil {
		return 0, nil, err
	}
	deadline, err := deadlineAfter(now, a.TTL)
	if err != nil {
		return 0, nil, err
	}
	e, n, err := s.next(a.Tail, now)
	if err != nil {
		return 0, nil, err
	}
	s.count(e, a.Tail, n, now).deadline = tail
	s.set(entryKey(a.Entry, n), a.Value, now, deadline)
	return n, s.listening(a.Channel), nil
}

func entryKey(prefix string, n int64) string {
	var buf [128]byte // most keys fit, so the string is the only allocation
	return string(strconv.AppendInt(append(buf[:0], prefix...), n, 10))
}
