package mailbox_test

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
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/store"
)

// mutant is one step left out, or one of the walkthrough's defects revived: as a broken view of the store, or as a
// broken runtime around the procedures.
type mutant struct {
	sender, receiver func(store.Store) store.Store
	give             func(*receiver, *mailbox.Delivery) // instead of receiver.give

	once      bool // a sender posts once
	hopeful   bool // a sender takes an unknown outcome for success
	renamed   bool // a sender posts again under another id
	unmarked  bool // a sender does not say that it chose the id
	loose     bool // a sender believes any ACK of its own
	deaf      bool // a receiver does not see what came before it
	hasty     bool // a joiner does not wait
	never     bool // a receiver does not write an ACK again
	sloppy    bool // a receiver takes an ACK for confirmed
	believing bool // a receiver does not read what a hint spoke of
	greedy    bool // a receiver deletes a double whose first is not acknowledged
	eager     bool // a receiver's cursor passes whatever was read
}

// TestMutantsAreKilled: each within so many random runs.
func TestMutantsAreKilled(t *testing.T) {
	const limit = 10_000
	for name, c := range mutants() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(limit) {
				if s, err := play(sim.Random(seed), c.config); err != nil {
					if !strings.Contains(c.breaks, err.Error()[:2]) {
						t.Errorf("it breaks %.2s, want one of %s", err, c.breaks)
					}
					t.Logf("killed in run %d: %v\n%s", seed+1, err, s.world.Transcript())
					return
				}
			}
			t.Errorf("it survives %d runs", limit)
		})
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
		"R2 one ACK slot per sender":             m("S5 S4", mutant{sender: oneAck, receiver: oneAck, loose: true}, send),
		"R3 the ACK before the hand-over":        m("S4", mutant{give: ackFirst}, send),
		"R4 what came before the wait is missed": m("S1 S6", mutant{deaf: true}, plain),
		"R10 what is not signed is believed":     m("S3", mutant{receiver: believing}, attacked),
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
		"the cursor passes what a hint spoke of":    m("S1", mutant{believing: true}, lying),
		"a double is consumed before its first":     m("S2 S1", mutant{greedy: true}, func(c *config) { lying(c); c.lies, c.Faults, c.MaxFreezes, c.Crashes = false, 0, 0, 4 }),
		"the cursor passes what is not handed over": m("S1 S2 S6", mutant{eager: true}, plain),
		"a joiner does not wait":                    m("S1 S6", mutant{hasty: true}, func(c *config) { c.tail = 2000 }),
	}
}

// lookLoosely takes whatever stands in the slot for the ACK.
func (s *sender) lookLoosely(p *post) {
	data, err := s.post.Store.Get(ctx, space.Ack(p.signal.Sender, p.signal.ID))
	var ack struct{ SignalID, Session string }
	if err == nil && json.Unmarshal(data, &ack) == nil {
		s.scene.acknowledged(p, &envelope.Ack{SignalID: ack.SignalID, Session: ack.Session})
	}
}

// deafen has r begin behind what is there.
func (r *receiver) deafen(generation string) {
	_ = r.scene.mem.SetEX(ctx, space.Cursor("r"), r.scene.cursorAtTail(generation), times.Cursor)
}

// cursorAtTail is a cursor that passes everything.
func (s *scene) cursorAtTail(generation string) []byte {
	raw, _ := s.mem.Get(ctx, names.Tail)
	tail, _ := strconv.ParseInt(string(raw), 10, 64)
	if g, err := s.mem.Get(ctx, space.Generation()); err == nil {
		generation = string(g)
	}
	sealed, err := envelope.AppendCursor(nil, ring, &envelope.Cursor{Receiver: "r", Ticket: tail + 1, Generation: generation})
	if err != nil {
		panic(err)
	}
	return sealed
}

// hastily is a clock on which every wait is over once r has joined.
func (r *receiver) hastily(now func() time.Time) func() time.Time {
	return func() time.Time {
		if r.generation == "" {
			return now()
		}
		return now().Add(times.Log.Skip)
	}
}

// believe keeps what a hint that was taken said of its ticket.
func (r *receiver) believe(payload []byte) {
	number, entry, _ := bytes.Cut(payload, []byte{' '})
	if r.scene.m.believing {
		r.believed[names.EntryPrefix()+string(number)] = entry
	}
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

// believing signs what it reads.
func believing(s store.Store) store.Store {
	return tampered{s, func(key string, value []byte, err error) ([]byte, error) {
		end := bytes.LastIndex(value, []byte(`,"kid":`))
		if err != nil || end < 0 || !strings.HasPrefix(key, names.EntryPrefix()) {
			return value, err
		}
		return ring.Seal(nil, envelope.KindSignal, append(bytes.Clone(value[:end]), '}'), "r"), nil
	}}
}
