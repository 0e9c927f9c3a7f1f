package mailbox

import (
	"bytes"
	"context"
	"errors"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// Legacy is the format of earlier systems: one slot per receiver that the last sender overwrites, and one slot per
// sender for the ACK. The slot is never deleted, so its content is remembered, here and in the store.
type Legacy struct {
	Accept        bool
	AllowUnsigned bool

	last []byte // what the slot held when it was last looked at
}

// LegacyKey is the slot to be read, "" where legacy signals are not accepted.
func (b *Box) LegacyKey() string {
	if !b.Legacy.Accept {
		return ""
	}
	return b.Space.LegacySignal(b.Self)
}

// ReadLegacy takes in what the slot holds.
func (b *Box) ReadLegacy(ctx context.Context) error {
	if !b.Legacy.Accept || b.superseded {
		return nil
	}
	value, err := b.Store.Get(ctx, b.LegacyKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || bytes.Equal(value, b.Legacy.last) {
		return err
	}
	return b.admitLegacy(ctx, value)
}

// NewLegacy reports whether value, the slot's content, has not been looked at.
func (b *Box) NewLegacy(value []byte) bool {
	return b.Legacy.Accept && value != nil && !bytes.Equal(value, b.Legacy.last)
}

func (b *Box) admitLegacy(ctx context.Context, value []byte) error {
	s, bad := envelope.OpenLegacy(b.Ring, b.Self, value, b.Now(), b.Legacy.AllowUnsigned)
	if bad != nil {
		b.Legacy.last = value
		b.refuse(bad)
		return nil
	}
	_, err := b.Store.Get(ctx, b.Space.LegacySeen(b.Self, s.ID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b.Legacy.last = value
	if err != nil && !b.knows(s) {
		b.insert(&Delivery{Signal: s, Legacy: true})
	}
	return nil
}

// legacyAckOps remember the slot's content and answer in the sender's slot.
func legacyAckOps(ops []store.Op, p *Post, d *Delivery) []store.Op {
	s := d.Signal
	return append(ops,
		store.SetEXOp(p.Space.LegacySeen(s.Receiver, s.ID), []byte("1"), envelope.LegacyMaxAge+2*envelope.LegacyMaxAhead),
		store.SetEXOp(p.Space.LegacyAck(s.Sender), d.sealed, legacyAckTTL))
}

// PostLegacy overwrites receiver's slot.
func (p *Post) PostLegacy(ctx context.Context, receiver string, value []byte) error {
	return p.Store.SetEX(ctx, p.Space.LegacySignal(receiver), value, p.Times.Log.Entry)
}

// LegacyAck returns what stands in sender's ACK slot, nil where nothing does.
func (p *Post) LegacyAck(ctx context.Context, sender string) ([]byte, error) {
	value, err := p.Store.Get(ctx, p.Space.LegacyAck(sender))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return value, err
}
