package mailbox_test

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// port is a process's way to the store. It outlives the run, and it carries hints.
type port struct {
	store.Store
	scene *scene
	owner *receiver // nil for senders
}

func (p *port) Capabilities() store.Capabilities {
	caps := store.Capabilities{Hints: p}
	if store.CapabilitiesOf(p.Store).Append != nil {
		caps.Append = p
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

func (p *port) Publish(_ context.Context, channel string, payload []byte) error {
	if channel == space.Channel("r") {
		p.scene.air = append(p.scene.air, bytes.Clone(payload))
	}
	return nil
}

func (p *port) Subscribe(string, func([]byte)) func() { return func() {} }

func (p *port) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if key == space.Cursor("r") {
		p.scene.cursors = append(p.scene.cursors, bytes.Clone(value))
		if p.scene.m.eager {
			value = p.scene.cursorAtTail("g")
		}
	}
	return p.Store.SetEX(ctx, key, value, ttl)
}

// Get counts the doubles that a receiver meets.
func (p *port) Get(ctx context.Context, key string) ([]byte, error) {
	if p.owner == nil || !strings.HasPrefix(key, names.EntryPrefix()) {
		return p.Store.Get(ctx, key)
	}
	if hinted := p.owner.believed[key]; hinted != nil {
		return hinted, nil
	}
	value, err := p.Store.Get(ctx, key)
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

// through is p as the mutant sees it.
func through(broken func(store.Store) store.Store, p *port) store.Store {
	if broken == nil {
		return p
	}
	return broken(p)
}
