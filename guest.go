package coord

import (
	"context"
	"fmt"

	"github.com/blocking-coordination/coord/internal/envelope"
)

// Guest sends under an id without being its coordinator: it has no incarnation and no heartbeat, receives nothing, and
// supersedes nobody. It is for one who has something to say and goes: a script, a timer, a request handler.
type Guest struct{ a *Coordinator }

// Guest returns a sender under id, which a coordinator may bear at the same time. It does no I/O. Errors: ErrInvalidID,
// ErrClosed.
func (c *Client) Guest(id string) (*Guest, error) {
	if err := checkID("id", id); err != nil {
		return nil, err
	}
	a := c.coordinator(id, envelope.Instance{Session: newID()})
	a.guest = true
	if c.hints != nil {
		a.subscribe = c.hints.Subscribe(c.space.Channel(id), a.hint)
	}
	if err := c.add(a); err != nil {
		a.end(err)
		return nil, fmt.Errorf("guest %s: %w", id, err)
	}
	return &Guest{a}, nil
}

// Send is Coordinator.Send.
func (g *Guest) Send(ctx context.Context, to, typ string, payload []byte, opts ...Option) (*Ack, error) {
	return g.a.Send(ctx, to, typ, payload, opts...)
}

// Post is Coordinator.Post.
func (g *Guest) Post(ctx context.Context, to, typ string, payload []byte, opts ...Option) (id string, err error) {
	return g.a.Post(ctx, to, typ, payload, opts...)
}

// PostAll is Coordinator.PostAll.
func (g *Guest) PostAll(ctx context.Context, to []string, typ string, payload []byte, opts ...Option) (ids []string, err error) {
	return g.a.PostAll(ctx, to, typ, payload, opts...)
}

// Close ends it. What it has posted stays where it is. It is safe to call more than once.
func (g *Guest) Close() { g.a.end(ErrClosed) }
