package mailbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// forgetting is a box that handed over so much that floors were forgotten, and what session z sent: high, then low.
func forgetting(b *bench) (box *mailbox.Box, high []byte) {
	box = b.join("g")
	one := func(session string, seq uint64) []byte {
		_, sealed := b.signal(func(s *envelope.Signal) { s.Session, s.Seq, s.To = session, seq, box.Me })
		b.append(sealed)
		return sealed
	}
	low := one("z", 3)
	b.must(box.Read(ctx))
	held := b.take(box)[0]
	high = one("z", 500)
	for i := range 2100 {
		one(fmt.Sprint("x", i), 1)
	}
	b.pass(box)
	b.acknowledge(box, held)
	for i := range 1100 {
		one(fmt.Sprint("w", i), 1)
	}
	b.pass(box)
	_ = low
	return box, high
}

func TestS2WhatWasForgottenIsAsked(t *testing.T) {
	b := newBench(t)
	box, high := forgetting(b)
	b.append(high)
	b.expect("again, after its floor was forgotten and another one known", b.pass(box), 0)
}

func TestS2TheFloorIsAsked(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, first := b.signal(to(box))
	b.append(first)
	for range 1100 {
		_, sealed := b.signal(to(box))
		b.append(sealed)
	}
	b.expect("new", b.pass(box), 1101)
	b.append(first)
	b.expect("below the floor", b.pass(box), 0)
	_, late := b.signal(func(s *envelope.Signal) { s.To, s.Seq = box.Me, 1 })
	b.append(late)
	b.expect("below the floor, and new", b.pass(box), 1)
}

// An ACK outlives its signal by as much as clocks may differ.
func TestS2AnACKOutlivesItsSignal(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, sealed := b.signal(func(s *envelope.Signal) { s.Time = s.Time.Add(times.MaxAhead) })
	b.append(sealed)
	b.expect("new", b.pass(box), 1)
	b.clock.Advance(times.Ack + times.MaxAhead/2)
	b.append(sealed)
	b.expect("again in the next life", b.pass(b.join("g")), 0)
}

// A signal grows old in the box until its ACK has expired; then the missing ACK says nothing.
func TestS2ASignalTooOldToAskIsNotHandedOver(t *testing.T) {
	b := newBench(t)
	first := b.join("g")
	_, sealed := b.signal(nil)
	b.append(sealed)
	b.must(first.Read(ctx))
	d := b.take(first)[0]
	b.acknowledge(first, d)
	box := b.join("g")
	b.must(box.Read(ctx)) // nobody waits for it
	b.clock.Advance(times.Ack + 3*times.MaxAhead)
	b.expect("a day later", len(b.take(box)), 0)
	if box.Waiting() != 0 {
		t.Error("it is kept")
	}
}

func TestAHintForAnOpenHoleAsksForARead(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	n, err := b.store.Incr(ctx, names.Tail)
	b.must(err)
	b.expect("a hole", b.pass(box), 0)
	_, sealed := b.signal(to(box))
	b.must(b.store.SetEX(ctx, names.Entry(n), sealed, times.Log.Entry))
	if box.Hint(store.AppendHint(n, sealed)) {
		t.Error("the hint counts as dealt with, and the signal waits for the next poll")
	}
	b.expect("after the read", b.pass(box), 1)
}

// A hint with a number that nobody took yet is no sign of a loss, whenever its entry is looked for.
func TestALyingHintIsNoLoss(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, sealed := b.signal(to(box))
	if !box.Hint(store.AppendHint(1, sealed)) {
		t.Fatal("the hint was not taken")
	}
	b.acknowledge(box, b.take(box)[0])
	b.must(box.Flush(ctx))
	if err := box.Read(ctx); err != nil {
		t.Fatalf("Read = %v", err)
	}
	_, next := b.signal(to(box))
	b.append(next)
	b.expect("the true ticket", b.pass(box), 1)
}

// (6) What is refused as too far ahead is consumed; the same bytes get through when their time has come.
func TestS1TheSameBytesGetThroughLater(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, sealed := b.signal(func(s *envelope.Signal) { s.Time = s.Time.Add(times.MaxAhead + time.Minute) })
	b.append(sealed)
	b.expect("too far ahead", b.pass(box), 0)
	b.clock.Advance(2 * time.Minute)
	b.append(sealed)
	b.expect("in its time", b.pass(box), 1)
}

func TestReturnedIsDeliveredAgainInItsPlace(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	for range 2 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.must(box.Read(ctx))
	taken := b.take(box)
	box.Return(taken[0])
	b.acknowledge(box, taken[1])
	b.must(box.Flush(ctx))
	box.Return(taken[1]) // it has its ACK: nothing happens
	b.expect("the next life", b.pass(b.join("g")), 1)
	b.must(box.Read(ctx))
	again := b.take(box)
	b.expect("returned, and acknowledged by another life meanwhile", len(again), 0)
}
