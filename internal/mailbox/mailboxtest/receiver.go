package mailboxtest

import (
	"bytes"
	"errors"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// receiver is one life of the receiver, with a runtime in a few lines around its box.
type receiver struct {
	scene      *scene
	actor      *sim.Actor
	port       *port
	box        *mailbox.Box
	generation string
	born       int // the moment before it joined
	noticed    int // the moment at which it last recovered

	handed, returned map[signalKey]bool
	acked            map[signalKey]bool // ACKs that stood when it joined
	asked            map[signalKey]bool // ACKs that stood when it last asked
	contents         map[string]bool    // the payloads of what was handed over
	believed         map[string][]byte  // by key: what hints said
	unacked          []*mailbox.Delivery
	highest          map[string]uint64
	heard            int // hints
	superseded       bool
}

// spawnReceiver starts a life of the receiver; where it crashes, the next one.
func (s *scene) spawnReceiver() {
	s.world.Spawn(s.unique("r"), func(a *sim.Actor) {
		me := &receiver{scene: s, actor: a, port: &port{Store: a.Store(), scene: s}}
		s.receivers = append(s.receivers, me)
		defer func() {
			if a.Crashed() && !s.over {
				s.spawnReceiver()
			}
		}()
		me.incarnate()
		for range s.passes {
			me.pass()
			a.Sleep(s.rest)
		}
	})
}

// incarnate makes the life known, and gives it a box that has not joined yet.
func (r *receiver) incarnate() {
	s := r.scene
	r.born = s.moment()
	r.handed, r.returned, r.highest = map[signalKey]bool{}, map[signalKey]bool{}, map[string]uint64{}
	r.port.owner, r.contents, r.believed = r, map[string]bool{}, map[string][]byte{}
	n, err := r.port.Incr(ctx, space.Incarnation("r"))
	for tries := 0; err != nil && tries < 20; tries++ {
		n, err = r.port.Incr(ctx, space.Incarnation("r"))
	}
	st := through(s.m.receiver, r.port)
	now := r.actor.Now
	if s.m.clock != nil {
		now = s.m.clock(r, now)
	}
	r.box = &mailbox.Box{
		Post: mailbox.Post{Store: st, Space: space, Ring: ring, Times: times, Now: now},
		Self: "r", Me: envelope.Instance{Incarnation: n, Session: s.unique("y")},
		Refused: func(err error) { s.world.Seen("refused: " + string(envelope.ReasonOf(err))) },
	}
}

// pass is one turn of the runtime.
func (r *receiver) pass() {
	if r.superseded {
		return
	}
	if !r.current() {
		r.flush()
		return
	}
	if r.listen() {
		r.read()
	}
	r.handOver()
	r.acknowledge()
	r.flush()
}

// current joins, or recovers where the store is another one than before.
func (r *receiver) current() bool {
	g, err := r.box.Store.Get(ctx, space.Generation())
	if errors.Is(err, store.ErrNotFound) {
		return r.begin()
	}
	if err != nil || string(g) == r.generation {
		return err == nil
	}
	return r.move(string(g))
}

// begin gives the store a new generation.
func (r *receiver) begin() bool {
	g := r.scene.unique("g")
	return r.box.Store.SetEX(ctx, space.Generation(), []byte(g), times.Log.Tail) == nil && r.move(g)
}

// move takes the box to a generation: its first, or another one after a loss.
func (r *receiver) move(generation string) bool {
	at := r.scene.moment()
	if r.generation != "" {
		r.box.Recover(generation)
	} else if !r.join(generation) {
		return false
	}
	r.generation, r.noticed = generation, at
	return true
}

func (r *receiver) join(generation string) bool {
	r.acked = r.scene.standing()
	if _, err := r.scene.mem.Get(ctx, space.Cursor("r")); err == nil {
		r.scene.world.Seen("cursor used")
	}
	if r.scene.m.join != nil {
		r.scene.m.join(r)
	}
	return r.box.Join(ctx, generation) == nil
}

// listen feeds hints to the box, and reports whether a read follows.
func (r *receiver) listen() bool {
	s := r.scene
	if !s.hints || r.superseded {
		return true
	}
	read := true
	for range 2 {
		if payload := r.hint(); payload != nil {
			before := r.box.Waiting()
			if r.box.Hint(payload); r.box.Waiting() > before {
				s.world.Seen("hint taken")
				if s.m.heard != nil {
					s.m.heard(r, payload)
				}
				r.actor.Note("takes the hint %.60q", payload)
				read = read && !s.maybe("no read")
			}
		}
	}
	return read
}

// hint draws the next hint, in order and once, or anything else that may become of hints.
func (r *receiver) hint() []byte {
	s := r.scene
	if len(s.air) == 0 || s.over {
		return nil
	}
	kinds := 4
	if s.lies {
		kinds = 6
	}
	switch s.c.Choose("next", kinds) {
	case 0:
		r.heard++
		return s.air[min(r.heard, len(s.air))-1]
	case 1:
		r.heard++
		return nil
	case 2, 3:
		return s.air[s.c.Choose("next", len(s.air))]
	}
	payload := s.air[s.c.Choose("next", len(s.air))]
	s.world.Seen("hint lied")
	return store.AppendHint(int64(1+s.c.Choose("next", s.senders*s.signals+2)), payload[bytes.IndexByte(payload, ' ')+1:])
}

func (r *receiver) read() {
	err := r.box.Read(ctx)
	switch {
	case errors.Is(err, mailbox.ErrSuperseded):
		r.superseded = true
		r.scene.world.Seen("zombie superseded")
	case errors.Is(err, ticketlog.ErrRegressed):
		r.scene.world.Seen("regressed")
		if r.scene.losses == 0 && !r.scene.stale { // in a stale world the counter may expire
			r.scene.broken("S1: nothing was lost, and yet %v", err)
		}
		r.regressed()
	}
}

// regressed recovers, in whatever generation the store is.
func (r *receiver) regressed() {
	switch g, err := r.box.Store.Get(ctx, space.Generation()); {
	case err == nil:
		r.move(string(g))
	case errors.Is(err, store.ErrNotFound):
		r.begin()
	}
}

func all(*envelope.Signal) bool { return true }

// handOver gives the waiters what there is.
func (r *receiver) handOver() {
	for !r.scene.drawn || !r.scene.maybe("nobody waits") {
		d, ask := r.box.Take(all)
		switch {
		case ask:
			r.asked = r.scene.standing()
			if r.box.Ask(ctx, all) != nil {
				return
			}
		case d == nil:
			return
		case r.scene.m.give != nil:
			r.scene.m.give(r, d)
		default:
			r.give(d)
		}
	}
	r.box.Rest()
}

func (r *receiver) give(d *mailbox.Delivery) {
	s := r.scene
	s.handedOver(r, d)
	if s.later && s.maybe("later") {
		s.world.Seen("returned")
		r.returned[keyOf(d.Signal)] = true
		r.box.Return(d)
		return
	}
	r.answer(d)
}

func (r *receiver) answer(d *mailbox.Delivery) {
	if err := r.box.Answer(d, nil, false, ""); err != nil {
		panic(err)
	}
	r.scene.answers = append(r.scene.answers, &envelope.Ack{
		SignalID: d.Signal.ID, Sender: d.Signal.Sender, Session: r.box.Me.Session,
	})
	r.unacked = append(r.unacked, d)
}

// acknowledge writes the ACKs that are due.
func (r *receiver) acknowledge() {
	if r.scene.drawn && r.scene.maybe("ACK later") {
		return
	}
	again := r.box.Again()
	if r.scene.m.never {
		again = nil
	}
	for _, d := range again {
		r.scene.world.Seen("ACK written again")
		_ = store.Batch(ctx, r.box.Store, r.box.AckOps(nil, d))
	}
	unacked := r.unacked
	r.unacked = nil
	for _, d := range unacked {
		r.write(d)
	}
}

func (r *receiver) write(d *mailbox.Delivery) {
	if r.scene.m.sloppy {
		r.box.Confirm(d)
	}
	if store.FirstError(store.Batch(ctx, r.box.Store, r.box.AckOps(nil, d))) != nil {
		r.unacked = append(r.unacked, d)
		return
	}
	r.scene.stood[keyOf(d.Signal)] = true
	r.box.Confirm(d)
}

func (r *receiver) flush() {
	if r.scene.drawn && r.scene.maybe("flush later") {
		return
	}
	if err := r.box.Flush(ctx); errors.Is(err, mailbox.ErrSuperseded) {
		r.superseded = true
	}
}
