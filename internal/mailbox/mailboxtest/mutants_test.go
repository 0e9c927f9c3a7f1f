package mailboxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/store"
)

// TestMutantsAreKilled: each within so many random runs.
func TestMutantsAreKilled(t *testing.T) {
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) { proof.Kill(t, 10_000, m.breaks, proof.Trial{Play: m.play}) })
	}
}

type mutation struct {
	breaks string // the invariants
	config
}

func mutants() map[string]mutation {
	m := func(breaks string, m mutant, change func(*config)) mutation {
		c := hazards()
		c.m = m
		change(&c)
		return mutation{breaks, c}
	}
	plain := func(*config) {}
	send := func(c *config) { c.send = true }
	lossy := func(c *config) { c.send, c.losses, c.lives = true, 1, 1 }
	attacked := func(c *config) { c.send, c.attacks = true, 4 }
	return map[string]mutation{
		"R1 one slot per receiver":               m("S1", mutant{sender: oneSlot, receiver: oneSlot}, plain),
		"R2 one ACK slot per sender":             m("S5 S4", mutant{sender: oneAck, receiver: oneAck, look: loosely}, send),
		"R3 the ACK before the hand-over":        m("S4", mutant{give: ackFirst}, send),
		"R4 what came before the wait is missed": m("S1 S6", mutant{join: deafly}, plain),
		"R10 what is not signed is believed":     m("S3", mutant{receiver: signing}, attacked),
		"R11 a replay is not asked about":        m("S2", mutant{receiver: forgetfulOfACKs}, attacked),
		"R13 a poison slot stops the reader":     m("S1 S7", mutant{receiver: poisoned}, attacked),
		"R15 a wait that times out swallows":     m("S1 S4", mutant{give: swallow}, plain),
		"an unknown outcome is success":          m("S1", mutant{hopeful: true}, func(c *config) { c.Faults = 8 }),
		"posted again under another id":          m("S2", mutant{renamed: true}, plain),
		"a chosen id is not marked": m("S2", mutant{unmarked: true}, func(c *config) {
			c.rounds, c.send, c.restarts, c.Crashes, c.passes, c.signals, c.Faults = true, true, 2, 4, 6, 3, 0
		}),
		"not posted again after a loss":             m("S1", mutant{once: true}, lossy),
		"the ACK is not written again":              m("S1", mutant{never: true}, lossy),
		"an ACK counts as confirmed once begun":     m("S2", mutant{sloppy: true}, plain),
		"fresh is what has a higher seq":            m("S1 S4", mutant{give: higherSeq}, func(c *config) { c.shared = true }),
		"the cursor passes what a hint spoke of":    m("S1", mutant{heard: believe}, lying),
		"a double is consumed before its first":     m("S2 S1", mutant{greedy: true}, func(c *config) { lying(c); c.lies, c.Faults, c.MaxFreezes, c.Crashes = false, 0, 0, 4 }),
		"the cursor passes what is not handed over": m("S1 S2 S6", mutant{cursor: cursorAtTail}, plain),
		"what was handed over is forgotten":         m("S2", mutant{give: forgetting}, send),
		"a signal's age is not looked at":           m("S2", mutant{join: ageless}, days),
		"handed over in another order":              m("S6", mutant{give: lastFirst()}, func(c *config) { c.signals, c.lives = 4, 1 }),
		"the cursor of another generation is used": m("S1", mutant{join: timeless}, func(c *config) {
			c.losses, c.attacks, c.lives, c.Crashes, c.Faults, c.signals, c.passes = 1, 8, 1, 4, 0, 4, 6
		}),
		"a joiner does not wait": m("S1 S6", mutant{clock: hastily}, func(c *config) { c.tail = 2000 }),
	}
}

// loosely takes whatever stands in the slot for the ACK.
func loosely(s *sender, p *post) {
	data, err := s.post.Store.Get(ctx, space.Ack(p.signal.Sender, p.signal.ID))
	var ack struct{ SignalID, Session string }
	if err == nil && json.Unmarshal(data, &ack) == nil {
		s.scene.acknowledged(p, &envelope.Ack{SignalID: ack.SignalID, Session: ack.Session})
	}
}

// deafly has r begin behind what is there.
func deafly(r *receiver) {
	_ = r.scene.mem.SetEX(ctx, space.Cursor("r"), cursorAtTail(r.scene), times.Cursor)
}

// cursorAtTail is a cursor that passes everything.
func cursorAtTail(s *scene) []byte {
	raw, _ := s.mem.Get(ctx, names.Tail)
	tail, _ := strconv.ParseInt(string(raw), 10, 64)
	generation, _ := s.mem.Get(ctx, space.Generation())
	sealed, err := envelope.AppendCursor(nil, ring, &envelope.Cursor{
		Receiver: "r", Ticket: tail + 1, Generation: string(generation),
	})
	if err != nil {
		panic(err)
	}
	return sealed
}

// hastily is a clock on which every wait is over once r has joined.
func hastily(r *receiver, now func() time.Time) func() time.Time {
	return func() time.Time {
		if r.generation == "" {
			return now()
		}
		return now().Add(times.Log.Skip)
	}
}

// forgetting gives d and begins with a new box, as the same incarnation.
func forgetting(r *receiver, d *mailbox.Delivery) {
	r.give(d)
	r.box, r.generation = &mailbox.Box{Post: r.box.Post, Self: r.box.Self, Me: r.box.Me, Refused: r.box.Refused}, ""
}

// lastFirst gives the second of two before the first.
func lastFirst() func(*receiver, *mailbox.Delivery) {
	held := map[*receiver]*mailbox.Delivery{}
	return func(r *receiver, d *mailbox.Delivery) {
		first := held[r]
		if first == nil && r.box.Waiting() > 0 {
			held[r] = d
			return
		}
		delete(held, r)
		if r.give(d); first != nil {
			r.give(first)
		}
	}
}

// ageless takes signals of any age, while ACKs live no longer than before.
func ageless(r *receiver) {
	r.box.Store = mortal{r.box.Store}
	r.box.Times.Ack = 30 * 24 * time.Hour
}

type mortal struct{ store.Store }

func (s mortal) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.HasPrefix(key, space.AckPrefix()) {
		ttl = times.Ack + 2*times.MaxAhead
	}
	return s.Store.SetEX(ctx, key, value, ttl)
}

// timeless takes every cursor for one of this generation.
func timeless(r *receiver) {
	r.box.Store = tampered{r.box.Store, func(key string, value []byte, err error) ([]byte, error) {
		c, bad := envelope.OpenCursor(ring, "r", value)
		if key != space.Cursor("r") || bad != nil {
			return value, err
		}
		generation, _ := r.scene.mem.Get(ctx, space.Generation())
		c.Generation = string(generation)
		sealed, err := envelope.AppendCursor(nil, ring, c)
		return sealed, err
	}}
}

// believe keeps what a hint that was taken said of its ticket.
func believe(r *receiver, hint []byte) {
	number, entry, _ := bytes.Cut(hint, []byte{' '})
	r.believed[names.EntryPrefix()+string(number)] = entry
}

func ackFirst(r *receiver, d *mailbox.Delivery) {
	r.answer(d)
	r.unacked = nil
	r.write(d)
	r.scene.handedOver(r, d)
}

func swallow(r *receiver, d *mailbox.Delivery) {
	if r.scene.maybe("timeout") {
		r.answer(d)
		return
	}
	r.give(d)
}

func higherSeq(r *receiver, d *mailbox.Delivery) {
	if d.Signal.Seq <= r.highest[d.Signal.Session] {
		r.answer(d)
		return
	}
	r.highest[d.Signal.Session] = d.Signal.Seq
	r.give(d)
}

// redirected is a store in which some keys are one.
type redirected struct {
	store.Store
	key func(string) string
}

func (s redirected) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.Store.SetEX(ctx, s.key(key), value, ttl)
}

func (s redirected) Get(ctx context.Context, key string) ([]byte, error) {
	return s.Store.Get(ctx, s.key(key))
}

func (s redirected) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return s.Store.Expire(ctx, s.key(key), ttl)
}

func oneKey(prefix, one string) func(store.Store) store.Store {
	return func(s store.Store) store.Store {
		return redirected{s, func(key string) string {
			if strings.HasPrefix(key, prefix) {
				return one
			}
			return key
		}}
	}
}

var (
	oneSlot = oneKey(names.EntryPrefix(), names.Entry(1))
	oneAck  = oneKey(space.AckPrefix(), space.Ack("s0", "slot"))
)

// tampered is a store whose Get answers something else.
type tampered struct {
	store.Store
	get func(key string, value []byte, err error) ([]byte, error)
}

func (s tampered) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := s.Store.Get(ctx, key)
	return s.get(key, value, err)
}

func forgetfulOfACKs(s store.Store) store.Store {
	return tampered{s, func(key string, value []byte, err error) ([]byte, error) {
		if strings.HasPrefix(key, space.AckPrefix()) {
			return nil, store.ErrNotFound
		}
		return value, err
	}}
}

func poisoned(s store.Store) store.Store {
	return tampered{s, func(key string, value []byte, err error) ([]byte, error) {
		if err == nil && strings.HasPrefix(key, names.EntryPrefix()) && !json.Valid(value) {
			return nil, errors.New("malformed")
		}
		return value, err
	}}
}

// signing signs what it reads.
func signing(s store.Store) store.Store {
	return tampered{s, func(key string, value []byte, err error) ([]byte, error) {
		end := bytes.LastIndex(value, []byte(`,"kid":`))
		if err != nil || end < 0 || !strings.HasPrefix(key, names.EntryPrefix()) {
			return value, err
		}
		return ring.Seal(nil, envelope.KindSignal, append(bytes.Clone(value[:end]), '}'), "r"), nil
	}}
}
