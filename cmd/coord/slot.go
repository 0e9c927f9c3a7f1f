package main

import (
	"bytes"
	"context"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

// watchSlot looks at the legacy slot of a coordinator that does not accept legacy signals, so that whoever writes there
// is not met with silence: each signal is refused once, with the reason. It changes nothing.
func (l *link) watchSlot(me *coord.Coordinator) (stop func()) {
	if l.app.AcceptLegacy {
		return func() {}
	}
	ctx, cancel := context.WithCancel(me.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.watch(ctx, keys.In(l.app.Namespace).LegacySignal(me.ID()), me.ID())
	}()
	return func() { cancel(); <-done }
}

func (l *link) watch(ctx context.Context, slot, id string) {
	var refused []byte
	once := l.driver.Capabilities().Once
	for ctx.Err() == nil {
		value, err := once.Get(ctx, slot)
		if err == nil && !bytes.Equal(value, refused) {
			refused = value
			l.narrator.say("signal refused: %s (in the slot %s)", l.whyNot(id, value), slot)
		}
		pause(ctx, time.Second)
	}
}

// whyNot says what it would take to accept a legacy signal.
func (l *link) whyNot(id string, value []byte) string {
	const off = "the legacy format is off: start with --accept-legacy"
	switch _, err := envelope.OpenLegacy(l.ring, id, value, time.Now(), false); {
	case envelope.ReasonOf(err) == envelope.Unsigned:
		return "unsigned, and " + off + " --allow-unsigned to take it"
	case err != nil:
		return err.Error()
	}
	return off + " to take it"
}
