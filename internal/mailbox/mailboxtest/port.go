package mailboxtest

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// port is a process's way to the store. It outlives the run, carries hints, and sees what goes by.
type port struct {
	store.Store
	scene *scene
	owner *receiver // nil for senders
}

func (p *port) Capabilities() store.Capabilities {
	has := store.CapabilitiesOf(p.Store)
	caps := store.Capabilities{Hints: p}
	if has.Append != nil {
		caps.Append = p
	}
	if has.Batch != nil {
		caps.Batch = p
	}
	return caps
}

func (p *port) Append(ctx context.Context, a store.Append) (int64, error) {
	n, err := store.CapabilitiesOf(p.Store).Append.Append(ctx, a)
	if err == nil {
		_ = p.Publish(ctx, a.Channel, store.AppendHint(n, a.Value))
	}
	return n, err
}

// Batch hands the operations on in one trip, but for the hints, which never leave the world.
func (p *port) Batch(ctx context.Context, ops []store.Op) []store.Result {
	results := make([]store.Result, len(ops))
	var trip []store.Op
	var places []int
	for i, op := range ops {
		switch op.Kind {
		case store.OpPublish:
			_ = p.Publish(ctx, op.Key, op.Value)
			continue
		case store.OpSetEX:
			op.Value = p.write(op.Key, op.Value)
		}
		trip, places = append(trip, op), append(places, i)
	}
	for i, r := range store.Batch(ctx, p.Store, trip) {
		if trip[i].Kind == store.OpGet {
			r.Value, r.Err = p.read(trip[i].Key, r.Value, r.Err)
		}
		results[places[i]] = r
	}
	return results
}

func (p *port) Publish(_ context.Context, channel string, payload []byte) error {
	if channel == space.Channel("r") {
		p.scene.air = append(p.scene.air, bytes.Clone(payload))
	}
	return nil
}

func (p *port) Subscribe(string, func([]byte)) func() { return func() {} }

func (p *port) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return p.Store.SetEX(ctx, key, p.write(key, value), ttl)
}

// write sees what is about to be written, and returns it.
func (p *port) write(key string, value []byte) []byte {
	switch {
	case strings.HasPrefix(key, skips):
		p.scene.world.Seen("hole closed")
	case key == space.Cursor("r"):
		p.scene.cursors = append(p.scene.cursors, bytes.Clone(value))
		if p.scene.m.cursor != nil {
			return p.scene.m.cursor(p.scene)
		}
	}
	return value
}

var skips = strings.TrimSuffix(names.Skip(1), "1")

func (p *port) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := p.Store.Get(ctx, key)
	return p.read(key, value, err)
}

// read sees what was read, and returns it. It counts the doubles that a receiver meets.
func (p *port) read(key string, value []byte, err error) ([]byte, error) {
	if p.owner == nil || !strings.HasPrefix(key, names.EntryPrefix()) {
		return value, err
	}
	if hinted := p.owner.believed[key]; hinted != nil {
		return hinted, nil
	}
	for k := range p.owner.handed {
		if bytes.Contains(value, []byte(`"id":"`+k.id+`"`)) {
			p.scene.world.Seen("double met")
			if p.scene.m.greedy {
				_, _ = p.scene.mem.Expire(ctx, key, 0)
			}
		}
	}
	return value, err
}

func (p *port) Keys(ctx context.Context, prefix string) ([]string, error) {
	if prefix == names.EntryPrefix() {
		p.scene.world.Seen("settled")
	}
	return p.Store.Keys(ctx, prefix)
}

// through is p as the mutant sees it.
func through(broken func(store.Store) store.Store, p *port) store.Store {
	if broken == nil {
		return p
	}
	return broken(p)
}
