package memstore

import (
	"container/list"
	"context"
	"maps"
	"time"
)

// lateIndex keeps its members in the order of their last touch. A touch gives the highest count so far, so moving a
// member to the back keeps the list sorted, and the late ones stand in front.
type lateIndex struct {
	deadline int64
	count    int64
	order    *list.List // of member, the least recently touched first
	byName   map[string]*list.Element
}

type member struct {
	name  string
	count int64
}

// Touch implements store.LateIndex. A ttl that is not positive is store.ErrInvalidTTL.
func (s *Store) Touch(ctx context.Context, index string, ttl time.Duration, members ...string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	deadline, err := deadlineAfter(now, ttl)
	if err != nil {
		return err
	}
	ix := s.indexOrNew(index, now)
	ix.deadline = deadline
	ix.touch(members)
	return nil
}

// Count implements store.LateIndex.
func (s *Store) Count(ctx context.Context, index string) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.index(index); ix != nil {
		return ix.count, nil
	}
	return 0, nil
}

// Counts implements store.LateIndex.
func (s *Store) Counts(ctx context.Context, index string, members ...string) ([]int64, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]int64, len(members))
	if ix := s.index(index); ix != nil {
		ix.counts(members, counts)
	}
	return counts, nil
}

// Late implements store.LateIndex. Members of the same count come in the order in which that touch named them. A limit
// that is not positive returns none.
func (s *Store) Late(ctx context.Context, index string, count int64, limit int) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.index(index); ix != nil {
		return ix.late(count, limit), nil
	}
	return nil, nil
}

// Drop implements store.LateIndex. Members that are not there are ignored.
func (s *Store) Drop(ctx context.Context, index string, members ...string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.index(index); ix != nil {
		ix.drop(members)
	}
	return nil
}

// index returns the live index of that name, or nil; mu is held.
func (s *Store) index(name string) *lateIndex {
	if ix := s.indexes[name]; ix != nil && s.now() <= ix.deadline {
		return ix
	}
	return nil
}

// indexOrNew also removes the dead indexes whenever it adds one: there are few, and this is rare.
func (s *Store) indexOrNew(name string, now int64) *lateIndex {
	if ix := s.index(name); ix != nil {
		return ix
	}
	maps.DeleteFunc(s.indexes, func(_ string, ix *lateIndex) bool { return ix.deadline < now })
	ix := &lateIndex{order: list.New(), byName: make(map[string]*list.Element)}
	s.indexes[name] = ix
	return ix
}

func (ix *lateIndex) touch(members []string) {
	ix.count++
	for _, name := range members {
		if at := ix.byName[name]; at != nil {
			ix.order.Remove(at)
		}
		ix.byName[name] = ix.order.PushBack(member{name, ix.count})
	}
}

func (ix *lateIndex) counts(members []string, counts []int64) {
	for i, name := range members {
		if at := ix.byName[name]; at != nil {
			counts[i] = at.Value.(member).count
		}
	}
}

func (ix *lateIndex) late(count int64, limit int) (names []string) {
	for at := ix.order.Front(); at != nil && len(names) < limit; at = at.Next() {
		m := at.Value.(member)
		if m.count > count {
			break
		}
		names = append(names, m.name)
	}
	return names
}

func (ix *lateIndex) drop(members []string) {
	for _, name := range members {
		if at := ix.byName[name]; at != nil {
			ix.order.Remove(at)
			delete(ix.byName, name)
		}
	}
}
