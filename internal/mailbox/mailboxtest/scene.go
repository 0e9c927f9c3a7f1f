package mailboxtest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

var (
	ctx   = context.Background()
	space = keys.In("conformance")
	ring  = newRing()
	names = space.Mailbox("r")
	times = mailbox.Times{
		Log: ticketlog.Times{Entry: 24 * time.Hour, Tail: 48 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second},
		Ack: 24 * time.Hour, Cursor: 48 * time.Hour, MaxAhead: 5 * time.Minute,
	}
)

func newRing() *envelope.Ring {
	r, err := envelope.NewRing("conformance", envelope.Key{Secret: bytes.Repeat([]byte("k"), envelope.MinSecret)})
	if err != nil {
		panic(err)
	}
	return r
}

// config is what a run consists of, beside what sim.Options let go wrong.
type config struct {
	sim.Options
	senders  int           // at once
	signals  int           // of each
	send     bool          // they wait for each ACK before the next signal
	restarts int           // of crashed senders, in all
	rounds   bool          // a restarted sender repeats what is not acknowledged, under the old ids
	sameIDs  bool          // the senders choose the same ids
	shared   bool          // the senders are one session that sends concurrently
	ahead    time.Duration // by how much the senders' clocks are ahead

	lives  int           // receivers that join at once: all but the last one are zombies
	passes int           // of each
	rest   time.Duration // between them
	drawn  bool          // the moments of hand-over, ACK and flush are drawn
	later  bool          // some deliveries are returned
	hints  bool          // hints come, lost, doubled, reordered, late and replayed
	lies   bool          // and under forged numbers
	tail   int           // where the counter stands at first; beyond 1024 a joiner lists
	stale  bool          // time passes until signals are too old: S1 does not hold for those

	attacks int // of one without the key
	losses  int // of all keys

	m mutant
}

// signalKey names a signal: ids are unique within a sender only.
type signalKey struct{ sender, id string }

func keyOf(s *envelope.Signal) signalKey { return signalKey{s.Sender, s.ID} }

// post is a signal that a life of a sender posts.
type post struct {
	signal    *envelope.Signal
	sealed    []byte
	by        *sender
	begun     int // the moment of its first attempt
	confirmed int // the moment of its first success; 0: none
	acked     bool
}

// hand is one hand-over.
type hand struct {
	key signalKey
	by  *receiver
	at  int
}

// scene is one run and all that is known about it from outside.
type scene struct {
	config
	c     sim.Chooser
	world *sim.World
	mem   store.Store // without capabilities
	calm  store.Store // what those who live use when nothing is in the way any more

	posts   []*post
	hands   []hand
	answers []*envelope.Ack
	stood   map[signalKey]bool // its ACK is known to have been written
	air     [][]byte           // hints to the receiver
	cursors [][]byte           // every cursor that was written

	receivers []*receiver
	now       int  // counts moments
	lost      int  // the moment of the last loss
	appending int  // how many senders are in the middle of an Append
	torn      bool // one was, when the store lost its data: its entry may land on another one's number
	fresh     int  // makes sessions and generations
	seq       uint64
	over      bool
	violation error
}

// newScene sets a run up on g.
func newScene(g sim.Ground, c sim.Chooser, cfg config) *scene {
	s := &scene{config: cfg, c: c, world: sim.On(g, c, cfg.Options), stood: map[signalKey]bool{}}
	s.mem = struct{ store.Store }{s.world.Store}
	if s.calm = s.mem; g.Capable {
		s.calm = s.world.Store
	}
	if cfg.tail > 0 {
		_ = s.mem.SetEX(ctx, names.Tail, fmt.Append(nil, cfg.tail), times.Log.Tail)
	}
	for i := range cfg.senders {
		s.spawnSender(fmt.Sprintf("s%d", i), 0, nil)
	}
	for range cfg.lives {
		s.spawnReceiver()
	}
	s.spawnHavoc()
	return s
}

// play runs the world on g and returns the first violation of an invariant, which begins with its name.
func (cfg config) play(g sim.Ground, c sim.Chooser) (*sim.World, error) {
	s := newScene(g, c, cfg)
	if err := s.world.Run(); err != nil {
		return s.world, err
	}
	s.over = true
	s.finish()
	s.check()
	return s.world, s.violation
}

// broken notes a violation. Only the first one counts: others may follow from it.
func (s *scene) broken(format string, args ...any) {
	if s.violation == nil {
		s.violation = fmt.Errorf(format, args...)
	}
}

func (s *scene) moment() int { s.now++; return s.now }

func (s *scene) unique(prefix string) string {
	s.fresh++
	return fmt.Sprint(prefix, s.fresh)
}

// maybe draws whether something out of the ordinary happens.
func (s *scene) maybe(what string) bool {
	return !s.over && s.violation == nil && s.c.Choose(what, 2) == 1
}

// standing are the signals whose ACK stands in the store now, or stood until it expired: it may not be missed.
func (s *scene) standing() map[signalKey]bool {
	standing := map[signalKey]bool{}
	for _, p := range s.posts {
		data, err := s.mem.Get(ctx, space.Ack(p.signal.Sender, p.signal.ID))
		if err != nil {
			standing[keyOf(p.signal)] = s.lost == 0 && s.stood[keyOf(p.signal)]
			continue
		}
		if ack, err := envelope.OpenAck(ring, p.signal.Sender, p.signal.ID, data); err == nil && ack.Answers(p.signal) {
			standing[keyOf(p.signal)] = true
			s.stood[keyOf(p.signal)] = true
		}
	}
	return standing
}

// handedOver records that r gave d to a waiter, and checks what must hold at that moment.
func (s *scene) handedOver(r *receiver, d *mailbox.Delivery) {
	k := keyOf(d.Signal)
	switch {
	case !s.posted(d.Signal):
		s.broken("S3: %s was handed over, and nobody sent that: %+v", d.Signal.ID, d.Signal)
	case (r.handed[k] || r.contents[string(d.Signal.Payload)] && !s.sameIDs) && !r.returned[k]:
		s.broken("S2: %v was handed over twice by %s", k, r.actor.Name)
	case r.acked[k] || r.asked[k] && (d.Signal.To != r.box.Me || d.Signal.Round != ""):
		s.broken("S2: %v was handed over by %s, but its ACK stood before", k, r.actor.Name)
	case r.superseded:
		s.broken("S2: %v was handed over by %s, which knew that it is superseded", k, r.actor.Name)
	}
	r.handed[k], r.returned[k], r.contents[string(d.Signal.Payload)] = true, false, true
	s.hands = append(s.hands, hand{k, r, s.moment()})
	r.actor.Note("hands over %s", k)
}

func (s *scene) posted(signal *envelope.Signal) bool {
	for _, p := range s.posts {
		if reflect.DeepEqual(p.signal, signal) {
			return true
		}
	}
	return false
}

// acknowledged records that p's sender believes ack, and checks it.
func (s *scene) acknowledged(p *post, ack *envelope.Ack) {
	p.acked = true
	s.moment()
	s.stood[keyOf(p.signal)] = true
	given := false
	for _, a := range s.answers {
		given = given || a.SignalID == ack.SignalID && a.Sender == p.signal.Sender && a.Session == ack.Session
	}
	switch {
	case ack.SignalID != p.signal.ID || !given:
		s.broken("S5: %v is satisfied by the ACK of %s", keyOf(p.signal), ack.SignalID)
	case s.firstHand(keyOf(p.signal)) == 0:
		s.broken("S4: %v is acknowledged, and was not handed over", keyOf(p.signal))
	}
}

// firstHand is the moment of the first hand-over; 0: none.
func (s *scene) firstHand(k signalKey) int {
	for _, h := range s.hands {
		if h.key == k {
			return h.at
		}
	}
	return 0
}

// finish lets, with nothing in the way any more, those who live do their work, and then a last life of the receiver.
func (s *scene) finish() {
	s.settle()
	s.checkSends()
	s.now++
	last := &receiver{scene: s, port: &port{Store: s.calm, scene: s}}
	last.actor = s.world.Spawn("last", func(*sim.Actor) {})
	s.receivers = append(s.receivers, last)
	last.incarnate()
	s.settle()
}

func (s *scene) settle() {
	for _, r := range s.receivers {
		r.port.Store = s.calm
	}
	for round := range 6 {
		for _, p := range s.posts {
			s.repost(p, round)
		}
		for _, r := range s.receivers {
			if !r.actor.Crashed() && r.box != nil {
				r.pass()
			}
		}
		s.world.Advance(times.Log.Grace)
		if round == 0 {
			s.world.Advance(times.Log.Skip)
		}
	}
}

// repost is what a living sender does for a signal that is not acknowledged.
func (s *scene) repost(p *post, round int) {
	if p.acked || p.by.actor.Crashed() || !s.send && s.losses == 0 {
		return
	}
	p.by.port.Store = s.calm
	p.by.look(p)
	if !p.acked && round < 5 && !s.m.once {
		_ = p.by.post.Append(ctx, "r", p.sealed)
	}
}

// checkSends: where a receiver lives, the Sends of the living end.
func (s *scene) checkSends() {
	if s.stale || !s.someReceiverLives() {
		return
	}
	for _, p := range s.posts {
		if s.send && !p.acked && !p.by.actor.Crashed() {
			s.broken("S1: %v: its Send does not end, though sender and receiver live", keyOf(p.signal))
		}
	}
}

func (s *scene) someReceiverLives() bool {
	for _, r := range s.receivers {
		if !r.actor.Crashed() && r.generation != "" && !r.box.Superseded() {
			return true
		}
	}
	return false
}

// check judges the whole run.
func (s *scene) check() {
	s.standing()
	for _, p := range s.posts {
		s.checkPost(p)
		for _, q := range s.posts {
			s.checkOrder(p, q)
		}
	}
	for k := range s.stood {
		if s.firstHand(k) == 0 {
			s.broken("S4: the ACK of %v stands, and it was not handed over", k)
		}
	}
}

func (s *scene) checkPost(p *post) {
	k := keyOf(p.signal)
	excused := s.stale || s.lost > 0 && p.by.actor.Crashed() && (s.torn || p.begun <= s.noticed())
	switch {
	case p.confirmed == 0 || excused:
	case s.firstHand(k) == 0:
		s.broken("S1: %v was posted and never handed over", k)
	case !s.stood[k] && !s.handedByTheLiving(k):
		s.broken("S2: %v was handed over by the dead alone, and is not acknowledged", k)
	}
}

// noticed is the moment since which every receiver knows of the last loss.
func (s *scene) noticed() int {
	noticed := s.lost
	for _, r := range s.receivers {
		if r.born < s.lost {
			noticed = max(noticed, r.noticed)
		}
	}
	return noticed
}

func (s *scene) handedByTheLiving(k signalKey) bool {
	for _, h := range s.hands {
		if h.key == k && !h.by.actor.Crashed() {
			return true
		}
	}
	return false
}

// checkOrder: q was begun after p was confirmed. Neither a loss of the store nor forged numbers keep the order.
func (s *scene) checkOrder(p, q *post) {
	kp, kq := keyOf(p.signal), keyOf(q.signal)
	if p.signal.Sender != q.signal.Sender || p.confirmed == 0 || p.confirmed > s.begun(kq) || s.lost > 0 || s.lies || s.stale {
		return
	}
	if hp, hq := s.firstHand(kp), s.firstHand(kq); hp > 0 && hq > 0 && hp > hq {
		s.broken("S6: %v was confirmed before %v was begun, and is handed over after it", kp, kq)
	}
}

func (s *scene) begun(k signalKey) int {
	for _, p := range s.posts {
		if keyOf(p.signal) == k {
			return p.begun
		}
	}
	return 0
}
