package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// counter counts trips to a store by what they are for.
type counter struct {
	appends atomic.Int64
	acks    atomic.Int64 // batches that publish something
	shared  atomic.Int64 // all other batches
	single  atomic.Int64 // operations that went alone
	first   atomic.Int64 // when the first of shared left, in nanoseconds
	last    atomic.Int64
	beats   atomic.Int64 // what takes the way of heartbeats: these, and a receiver's lazy reading and deleting
}

func (c *counter) reset() {
	for _, n := range []*atomic.Int64{&c.appends, &c.acks, &c.shared, &c.single, &c.beats} {
		n.Store(0)
	}
}

func (c *counter) perSignal(signals float64) (appends, acks, others float64) {
	return float64(c.appends.Load()) / signals, float64(c.acks.Load()) / signals,
		float64(c.shared.Load()+c.single.Load()+c.beats.Load()) / signals
}

// sharedPerSecond is the pace of batches between the first and the last.
func (c *counter) sharedPerSecond() float64 {
	return float64(c.shared.Load()-1) / (float64(c.last.Load()-c.first.Load()) / 1e9)
}

// around is the store with every trip counted.
func (c *counter) around(s store.Store) store.Store {
	return &counted{s, store.CapabilitiesOf(s), c}
}

type counted struct {
	inner store.Store
	caps  store.Capabilities
	n     *counter
}

// Capabilities implements store.Capable.
func (s *counted) Capabilities() store.Capabilities {
	caps := s.caps
	caps.Batch, caps.Append = s, s
	if caps.Once != nil {
		caps.Once = &countedOnce{caps.Once, store.CapabilitiesOf(caps.Once), s.n}
	}
	return caps
}

// countedOnce counts batches only: hardly anything else takes that way.
type countedOnce struct {
	store.Store
	caps store.Capabilities
	n    *counter
}

// Capabilities implements store.Capable.
func (s *countedOnce) Capabilities() store.Capabilities {
	caps := s.caps
	caps.Batch = s
	return caps
}

func (s *countedOnce) Batch(ctx context.Context, ops []store.Op) []store.Result {
	s.n.beats.Add(1)
	return s.caps.Batch.Batch(ctx, ops)
}

func (s *counted) Batch(ctx context.Context, ops []store.Op) []store.Result {
	kind := &s.n.shared
	for _, op := range ops {
		if op.Kind == store.OpPublish {
			kind = &s.n.acks
		}
	}
	if now := time.Now().UnixNano(); kind.Add(1) == 1 {
		s.n.first.Store(now)
	} else {
		s.n.last.Store(now)
	}
	return s.caps.Batch.Batch(ctx, ops)
}

func (s *counted) Append(ctx context.Context, a store.Append) (int64, error) {
	s.n.appends.Add(1)
	return s.caps.Append.Append(ctx, a)
}

func (s *counted) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.n.single.Add(1)
	return s.inner.SetEX(ctx, key, value, ttl)
}

func (s *counted) Get(ctx context.Context, key string) ([]byte, error) {
	s.n.single.Add(1)
	return s.inner.Get(ctx, key)
}

func (s *counted) Incr(ctx context.Context, key string) (int64, error) {
	s.n.single.Add(1)
	return s.inner.Incr(ctx, key)
}

func (s *counted) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	s.n.single.Add(1)
	return s.inner.Expire(ctx, key, ttl)
}

func (s *counted) Keys(ctx context.Context, prefix string) ([]string, error) {
	s.n.single.Add(1)
	return s.inner.Keys(ctx, prefix)
}
