package coord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
)

// Legacy has a Post or Send use the format of earlier systems, whatever Config.EmitLegacy says: one slot per receiver,
// so that the last signal wins; no payload and no result. Its ACK is not bound to the signal: a Send believes the first
// one that is written after it.
func Legacy() Option { return func(o *options) { o.legacy = true } }

const legacyLook = 100 * time.Millisecond // between two looks at the ACK slot: nobody sends a hint

// legacyLetter is a signal in the legacy format.
type legacyLetter struct {
	from, to, typ string
	sealed        []byte
	before        []byte // what stood in the ACK slot
}

func (a *Coordinator) composeLegacy(to, typ string, payload []byte) (*legacyLetter, error) {
	if len(payload) > 0 {
		return nil, fmt.Errorf("%w: a legacy signal carries no payload", ErrInvalidConfig)
	}
	if err := errors.Join(checkID("receiver", to), checkID("type", typ)); err != nil {
		return nil, err
	}
	if err := a.alive(); err != nil {
		return nil, err
	}
	c := a.client
	sealed, err := envelope.AppendLegacy(nil, c.ring, a.id, to, typ, c.Clock.Now())
	return &legacyLetter{from: a.id, to: to, typ: typ, sealed: sealed}, err
}

func (a *Coordinator) postLegacy(ctx context.Context, l *legacyLetter) (id string, err error) {
	post := a.client.post(a.client.store)
	if l.before, err = post.LegacyAck(ctx, a.id); err == nil {
		err = post.PostLegacy(ctx, l.to, l.sealed)
	}
	id = "legacy"
	if err != nil {
		err = fmt.Errorf("%s to %s: %w", l.typ, l.to, err)
		a.client.emit(SignalFailed{id, l.from, l.to, l.typ, err})
		return "", err
	}
	a.client.emit(SignalPosted{id, l.from, l.to, l.typ, 1})
	return id, nil
}

// sendLegacy posts and blocks until the ACK slot changes.
func (a *Coordinator) sendLegacy(ctx context.Context, l *legacyLetter, within time.Duration) (*Ack, error) {
	c := a.client
	began := c.Clock.Now()
	ctx, stop := a.bounded(ctx, within)
	defer stop()
	if _, err := a.postLegacy(ctx, l); err != nil {
		return nil, err
	}
	for !a.legacyAcked(l) {
		if !c.pause(ctx, legacyLook) {
			err := fmt.Errorf("%s to %s: %w: %w", l.typ, l.to, ErrNoAck, context.Cause(ctx))
			c.emit(SignalFailed{"legacy", l.from, l.to, l.typ, err})
			return nil, err
		}
	}
	latency := c.Clock.Now().Sub(began)
	c.emit(SignalAcknowledged{"legacy", l.from, l.to, l.typ, latency, false})
	return &Ack{SignalID: "legacy", From: l.to, Latency: latency}, nil
}

func (a *Coordinator) legacyAcked(l *legacyLetter) bool {
	post := a.client.post(a.client.once)
	value, err := post.LegacyAck(a.life, a.id)
	if err != nil || value == nil || bytes.Equal(value, l.before) {
		return false
	}
	if _, err := envelope.OpenLegacyAck(a.id, value); err != nil {
		a.refused(err)
		l.before = value // told once
		return false
	}
	return true
}
