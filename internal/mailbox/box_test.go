package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// bench is a mailbox without interleavings: one sender, lives of the receiver one after the other.
type bench struct {
	t     *testing.T
	clock *memstore.FakeClock
	store store.Store
	post  mailbox.Post
	seq   uint64
	lives int64
}

func newBench(t *testing.T) *bench {
	clock := memstore.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	mem := struct{ store.Store }{memstore.New(memstore.WithClock(clock))}
	return &bench{t: t, clock: clock, store: mem, post: mailbox.Post{
		Store: mem, Space: space, Ring: ring, Times: times, Now: clock.Now,
	}}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) join(generation string) *mailbox.Box {
	b.t.Helper()
	n, err := b.store.Incr(ctx, space.Incarnation("r"))
	b.must(err)
	b.lives++
	box := &mailbox.Box{Post: b.post, Self: "r", Me: envelope.Instance{Incarnation: n, Session: fmt.Sprint("y", b.lives)}}
	b.must(box.Join(ctx, generation))
	return box
}

func (b *bench) signal(change func(*envelope.Signal)) (*envelope.Signal, []byte) {
	b.t.Helper()
	b.seq++
	s := &envelope.Signal{
		ID: fmt.Sprint("m", b.seq), Sender: "s", Receiver: "r", Type: "wake", Time: b.clock.Now(),
		Incarnation: 1, Session: "x", Seq: b.seq,
	}
	if change != nil {
		change(s)
	}
	sealed, err := envelope.AppendSignal(nil, ring, s)
	b.must(err)
	return s, sealed
}

func (b *bench) append(sealed []byte) {
	b.t.Helper()
	b.must(b.post.Append(ctx, "r", sealed))
}

// take hands over what there is and returns the ids.
func (b *bench) take(box *mailbox.Box) (taken []*mailbox.Delivery) {
	b.t.Helper()
	for {
		d, ask := box.Take(all)
		switch {
		case ask:
			b.must(box.Ask(ctx, all))
		case d == nil:
			box.Rest()
			return taken
		default:
			taken = append(taken, d)
		}
	}
}

func (b *bench) acknowledge(box *mailbox.Box, d *mailbox.Delivery) {
	b.t.Helper()
	b.must(box.Answer(d, nil, false, ""))
	b.must(store.FirstError(store.Batch(ctx, b.store, box.AckOps(nil, d))))
	box.Confirm(d)
}

// pass reads, takes, acknowledges and flushes, and returns how many signals were handed over.
func (b *bench) pass(box *mailbox.Box) int {
	b.t.Helper()
	b.must(box.Read(ctx))
	taken := b.take(box)
	for _, d := range taken {
		b.acknowledge(box, d)
	}
	b.must(box.Flush(ctx))
	return len(taken)
}

func (b *bench) expect(what string, got, want int) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: %d handed over, want %d", what, got, want)
	}
}

func (b *bench) wipe() {
	names, _ := b.store.Keys(ctx, "")
	for _, name := range names {
		_, _ = b.store.Expire(ctx, name, 0)
	}
}

func to(box *mailbox.Box) func(*envelope.Signal) {
	return func(s *envelope.Signal) { s.To = box.Me }
}

func TestS1TwoSendersMayChooseTheSameID(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	for _, sender := range []string{"s", "q"} {
		_, sealed := b.signal(func(s *envelope.Signal) { s.ID, s.Sender = "same", sender })
		b.append(sealed)
	}
	b.expect("the same id from two senders", b.pass(box), 2)
}

// After a store loss incarnations are counted from 1 again, while senders address the number that they saw last.
func TestS1AnAddressFromBeforeALossSupersedesNobody(t *testing.T) {
	b := newBench(t)
	b.join("g")
	old := b.join("g")
	b.wipe()
	box := b.join("h")
	_, sealed := b.signal(to(old))
	b.append(sealed)
	b.expect("addressed to incarnation 2 of a lost store", b.pass(box), 1)
}

func TestSupersededHandsNothingOver(t *testing.T) {
	b := newBench(t)
	zombie := b.join("g")
	_, first := b.signal(nil)
	b.append(first)
	next := b.join("g")
	_, sealed := b.signal(to(next))
	b.append(sealed)
	if err := zombie.Read(ctx); !errors.Is(err, mailbox.ErrSuperseded) || !zombie.Superseded() {
		t.Fatalf("Read = %v", err)
	}
	if d, ask := zombie.Take(all); d != nil || ask {
		t.Fatal("a superseded box hands over")
	}
	_, third := b.signal(to(zombie))
	if zombie.Hint(store.AppendHint(3, third)) {
		t.Fatal("a superseded box takes a hint")
	}
	_ = zombie.Flush(ctx) // whatever it writes, its successors lose nothing
	b.expect("the successor", b.pass(b.join("g")), 2)
}

// Superseded in a read that also consumed something: the cursor must not pass what was not handed over.
func TestS1TheCursorOfTheSupersededPassesNothing(t *testing.T) {
	b := newBench(t)
	zombie := b.join("g")
	b.append([]byte("poison"))
	_, sealed := b.signal(to(b.join("g")))
	b.append(sealed)
	_ = zombie.Read(ctx)
	_ = zombie.Flush(ctx)
	b.expect("the third life", b.pass(b.join("g")), 1)
}

// unsure is a store whose Get of the incarnation counter fails.
type unsure struct {
	store.Store
	down *bool
}

func (u unsure) Get(ctx context.Context, key string) ([]byte, error) {
	if *u.down && key == space.Incarnation("r") {
		return nil, errors.New("no answer")
	}
	return u.Store.Get(ctx, key)
}

func TestARumourThatCannotBeCheckedStopsTheHandOver(t *testing.T) {
	b := newBench(t)
	down := true
	b.post.Store = unsure{b.store, &down}
	box := b.join("g")
	_, sealed := b.signal(func(s *envelope.Signal) { s.To.Incarnation = 7 })
	b.append(sealed)
	if err := box.Read(ctx); err == nil {
		t.Fatal("nobody says that the counter could not be read")
	}
	if d, _ := box.Take(all); d != nil {
		t.Fatal("handed over by one who may be superseded")
	}
	down = false
	b.expect("once the counter was read", b.pass(box), 1)
}

// The numbers of a lost store name other signals in the next one.
func TestS1WhatWasReadBeforeALossDeletesNothingAfterIt(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, old := b.signal(nil)
	b.append(old)
	b.must(box.Read(ctx))
	taken := b.take(box)
	b.wipe()
	box.Recover("h")
	_, sealed := b.signal(nil)
	b.append(sealed) // ticket 1 again
	b.acknowledge(box, taken[0])
	b.must(box.Flush(ctx))
	b.expect("posted after the loss was noticed", b.pass(box), 1)
}

func TestS1TheCursorAfterALossPassesNothing(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	for range 3 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.expect("before", b.pass(box), 3)
	b.wipe()
	box.Recover("h")
	for range 3 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.must(box.Flush(ctx)) // and then the box is gone
	b.expect("the next life", b.pass(b.join("h")), 3)
}

// A box that does not know of a loss yet writes its cursor into the new store; a joiner must not begin there.
func TestS1ACursorOfAnotherGenerationIsNotFollowed(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	for range 2 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.must(box.Read(ctx))
	taken := b.take(box)
	b.wipe()
	for _, d := range taken {
		b.acknowledge(box, d)
	}
	b.must(box.Flush(ctx))
	for range 2 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.expect("after the loss", b.pass(b.join("h")), 2)
}

// A number of the new counter that was taken after Recover, but before the counter was read past it, is still being
// written when half the skip TTL has passed since Recover.
func TestS1ASlowWriterAfterALossIsFound(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	for range 2 {
		_, sealed := b.signal(nil)
		b.append(sealed)
	}
	b.expect("before", b.pass(box), 2)
	b.wipe()
	box.Recover("h")
	b.clock.Advance(20 * time.Second)
	n, err := b.store.Incr(ctx, names.Tail) // a writer takes ticket 1, and is slow
	b.must(err)
	_, second := b.signal(nil)
	b.append(second)
	b.clock.Advance(12 * time.Second)
	b.expect("meanwhile", b.pass(box), 1)
	b.expect("meanwhile", b.pass(box), 0)
	_, first := b.signal(nil)
	b.must(b.store.SetEX(ctx, names.Entry(n), first, times.Log.Entry)) // 12 s after its start: in time
	b.clock.Advance(time.Minute)
	b.expect("the slow writer's", b.pass(box), 1)
}

// An ACK by an earlier life is written again too, when the store loses it.
func TestS1AnInheritedACKIsWrittenAgain(t *testing.T) {
	b := newBench(t)
	s, sealed := b.signal(nil)
	b.append(sealed)
	first := b.join("g")
	b.must(first.Read(ctx))
	b.acknowledge(first, b.take(first)[0])
	box := b.join("g")
	b.expect("acknowledged before", b.pass(box), 0)
	b.wipe()
	box.Recover("h")
	b.append(sealed)
	b.must(box.Read(ctx))
	for _, d := range box.Again() {
		b.must(store.FirstError(store.Batch(ctx, b.store, box.AckOps(nil, d))))
	}
	if acks, err := b.post.Acks(ctx, []*envelope.Signal{s}, nil); err != nil || acks[0] == nil {
		t.Fatalf("the sender sees no ACK: %v", err)
	}
}

// What came by a hint and was lost with the store is acknowledged again on its first repetition.
func TestS1AHintedSignalIsAcknowledgedAgainAfterALoss(t *testing.T) {
	b := newBench(t)
	box := b.join("g")
	_, sealed := b.signal(to(box))
	b.append(sealed)
	if !box.Hint(store.AppendHint(1, sealed)) {
		t.Fatal("the hint was not taken")
	}
	b.acknowledge(box, b.take(box)[0])
	b.wipe()
	box.Recover("h")
	b.append(sealed)
	b.must(box.Read(ctx))
	if n := len(box.Again()); n != 1 {
		t.Fatalf("%d ACKs are written again, want 1", n)
	}
}
