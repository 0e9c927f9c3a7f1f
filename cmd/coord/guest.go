package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// guest sends one signal under a name without joining as it: to join would end the coordinator of that name that may be
// running meanwhile. To receivers it is one more session of the sender. It posts again after 1, 2, 4, 8 … 30 s, the same
// bytes, until the ACK comes; the receiver drops the doubles.
type guest struct {
	letter
	wake   chan struct{} // a hint came, or some were missed
	posted bool          // a post was confirmed
}

// letter is a signal in one of the two formats.
type letter interface {
	// post puts the signal where its receiver finds it.
	post(ctx context.Context) error
	// id is the signal's.
	id() string
	// look returns the ACK that stands for the signal, or nil.
	look(ctx context.Context) *envelope.Ack
}

const (
	slowestPost = 30 * time.Second
	slowestLook = 250 * time.Millisecond // where hints are lost
	lastLook    = time.Second            // an ACK that stands at the deadline counts
)

// guest makes the sender of one signal. stop ends its subscription.
func (l *link) guest(from, to, typ string, payload []byte) (g *guest, stop func(), err error) {
	if err := errors.Join(keys.CheckID(from), keys.CheckID(to), keys.CheckID(typ)); err != nil {
		return nil, nil, err
	}
	g = &guest{wake: make(chan struct{}, 1)}
	p := mailbox.Post{Store: l.store, Space: keys.In(l.app.Namespace), Ring: l.ring, Times: mailbox.DefaultTimes, Now: time.Now}
	if l.app.EmitLegacy {
		g.letter, err = newSlotLetter(p, l.store, from, to, typ, payload)
	} else {
		g.letter, err = l.newMailLetter(p, from, to, typ, payload)
	}
	if err != nil {
		return nil, nil, err
	}
	return g, l.driver.Subscribe(p.Space.Channel(from), g.hint), nil
}

func (g *guest) hint([]byte) {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// deliver posts until the store has confirmed it.
func (g *guest) deliver(ctx context.Context) error {
	for {
		err := g.post(ctx)
		g.posted = g.posted || err == nil
		switch {
		case err == nil, store.Permanent(err):
			return err
		case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
			return coord.ErrTimeout
		case !errors.Is(err, coord.ErrUnavailable):
			return err
		}
		pause(ctx, retryPause)
	}
}

// send returns the ACK, or coord.ErrTimeout or why else there is none.
func (g *guest) send(ctx context.Context) (*envelope.Ack, error) {
	if err := g.deliver(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	for again := time.Second; ; again = min(2*again, slowestPost) {
		if ack := g.await(ctx, again); ack != nil {
			return ack, nil
		}
		if ctx.Err() != nil {
			last, cancel := context.WithTimeout(context.Background(), lastLook)
			defer cancel()
			return g.look(last), coord.ErrTimeout
		}
		_ = g.post(ctx) // if it fails, the next one may not
	}
}

// await looks for the ACK at every hint, and now and then, for d.
func (g *guest) await(ctx context.Context, d time.Duration) *envelope.Ack {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for gap := time.Millisecond; ctx.Err() == nil; gap = min(2*gap, slowestLook) {
		if ack := g.look(ctx); ack != nil {
			return ack
		}
		select {
		case <-ctx.Done():
		case <-g.wake:
		case <-time.After(gap):
		}
	}
	return nil
}

// mailLetter is a signal for a mailbox.
type mailLetter struct {
	to, once mailbox.Post // through the breaker, and past it
	signal   *envelope.Signal
	sealed   []byte
	done     bool // a post was confirmed
	refused  func(error)
}

func (l *link) newMailLetter(p mailbox.Post, from, to, typ string, payload []byte) (*mailLetter, error) {
	m := &mailLetter{to: p, once: p, signal: &envelope.Signal{
		ID: rand.Text(), Sender: from, Receiver: to, Type: typ, Payload: payload, Time: time.Now(), Session: rand.Text(), Seq: 1,
	}}
	m.once.Store = l.store.Once()
	m.refused = func(err error) { l.narrator.say("ACK refused: %v", err) }
	sealed, err := envelope.AppendSignal(nil, p.Ring, m.signal)
	m.sealed = sealed
	return m, err
}

func (m *mailLetter) post(ctx context.Context) error {
	return m.to.Append(ctx, m.signal.Receiver, m.sealed)
}

func (m *mailLetter) id() string { return m.signal.ID }

func (m *mailLetter) look(ctx context.Context) *envelope.Ack {
	refused := m.refused
	acks, err := m.once.Acks(ctx, []*envelope.Signal{m.signal}, func(err error) {
		m.refused = nil // told once
		if refused != nil {
			refused(err)
		}
	})
	if err != nil {
		return nil
	}
	return acks[0]
}

const legacyID = "legacy" // legacy signals have none of their own

// slotLetter is a signal in the legacy format. It is posted once: the slot may be another's by the next time.
type slotLetter struct {
	to, once     mailbox.Post
	sender, name string
	sealed       []byte
	before       []byte // what stood in the ACK slot
	looked, done bool
}

func newSlotLetter(p mailbox.Post, st *breaker.Breaker, from, to, typ string, payload []byte) (*slotLetter, error) {
	if len(payload) > 0 {
		return nil, fmt.Errorf("%w: a legacy signal carries no payload", coord.ErrInvalidConfig)
	}
	sealed, err := envelope.AppendLegacy(nil, p.Ring, from, to, typ, time.Now())
	s := &slotLetter{to: p, once: p, sender: from, name: to, sealed: sealed}
	s.once.Store = st.Once()
	return s, err
}

func (s *slotLetter) post(ctx context.Context) (err error) {
	if !s.looked {
		if s.before, err = s.to.LegacyAck(ctx, s.sender); err != nil {
			return err
		}
		s.looked = true
	}
	if !s.done {
		err = s.to.PostLegacy(ctx, s.name, s.sealed)
		s.done = err == nil
	}
	return err
}

func (s *slotLetter) id() string { return legacyID }

// look believes an ACK that was written since; no more can be known of it.
func (s *slotLetter) look(ctx context.Context) *envelope.Ack {
	value, err := s.once.LegacyAck(ctx, s.sender)
	if err != nil || value == nil || !s.done || bytes.Equal(value, s.before) {
		return nil
	}
	if _, err := envelope.OpenLegacyAck(s.sender, value); err != nil {
		return nil
	}
	return &envelope.Ack{SignalID: legacyID, Receiver: s.name}
}
