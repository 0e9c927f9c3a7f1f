// Package roundtest plays rounds step by step: an asker that may crash, restart or give up, members that may crash and
// restart as new incarnations or crash before they have joined, deaths that are decided by agreement, operations that
// fail or happen late. It judges G1 to G5 of package round.
package roundtest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

const (
	namespace = "conformance"
	asker     = "po"
	name      = "r-1" // of the round
	earlier   = "r-0" // of one that everybody has answered
	poll      = time.Second
)

var (
	ctx   = context.Background()
	space = keys.In(namespace)
	ring  = newRing()
	times = mailbox.DefaultTimes
)

func newRing() *envelope.Ring {
	r, err := envelope.NewRing(namespace, envelope.Key{Secret: bytes.Repeat([]byte("k"), envelope.MinSecret)})
	if err != nil {
		panic(err)
	}
	return r
}

// config is what a run consists of, beside what sim.Options let go wrong.
type config struct {
	sim.Options
	askers   int  // processes of the asker that begin at once: all but the last are zombies
	gathers  int  // of each of its lives
	looks    int  // of each gather
	restarts int  // of crashed askers, in all
	cuts     bool // some gathers are cut off from the store at some moment

	to      []string
	others  []string // members that nobody names: substitutes
	onDeath map[string]string
	twins   int  // processes of each member that begin at once
	lives   int  // further ones of each member, where one crashed
	passes  int  // of each
	leaves  bool // some go on purpose
	spoils  bool // something of the first of them is broken from the beginning
	accused int  // how many of the living are declared dead
	until   func([]round.Member) bool
	plain   bool // nothing is drawn but who goes first and what fails

	m mutant
}

// scene is one run and all that is known about it from outside.
type scene struct {
	config
	c     sim.Chooser
	world *sim.World
	mem   store.Store

	members  []*life           // in the order in which they began
	air      [][]byte          // ACKs that were hinted to the asker
	given    map[string]string // by answer: whose it is
	settled  map[string]outcome
	replaced map[string]string // by the dead: who has replied in its place
	left     map[string]int64  // the last incarnation that is known to have left
	spoilt   string            // whose key is broken
	junk     string            // which one

	registry map[int64]*envelope.Member // as it was read

	now      int                // counts moments
	first    map[string]int     // the moment at which a reply of a member was confirmed
	declared map[work.Owner]int // the moment before an incarnation was first declared dead
	outcome  *round.Outcome     // the decision, once anybody knows it
	mine     int                // how many believe that it is theirs

	fresh     int // makes sessions and answers
	over      bool
	violation error
}

// outcome is how a member was settled.
type outcome struct {
	state       round.State
	incarnation int64
	answer      string
}

// play runs c and returns the first violation of an invariant, which begins with its name.
func (c config) play(on sim.Ground, ch sim.Chooser) (*sim.World, error) {
	s := &scene{
		config: c, c: ch, world: sim.On(on, ch, c.Options), given: map[string]string{}, settled: map[string]outcome{},
		replaced: map[string]string{},
		left:     map[string]int64{}, registry: map[int64]*envelope.Member{}, first: map[string]int{}, declared: map[work.Owner]int{},
	}
	s.mem = struct{ store.Store }{s.world.Store}
	s.begin()
	if err := s.world.Run(); err != nil {
		return s.world, err
	}
	s.over = true
	s.finish()
	return s.world, s.violation
}

func (s *scene) begin() {
	s.spoil()
	for _, id := range s.everybody() {
		s.answeredBefore(id)
		for range s.twins {
			s.spawnMember(id, s.lives)
		}
	}
	for range s.askers {
		s.spawnAsker()
	}
	s.spawnMonitor()
}

// spoil has junk stand in the place of one record of a member.
func (s *scene) spoil() {
	if !s.spoils {
		return
	}
	id := s.to[0]
	reply := space.RoundReply(asker, name, id)
	broken := []string{
		reply.Decision(), reply.Counter(), space.Mailbox(id).Tail, space.Incarnation(id), space.Dead(id, 1).Decision(),
	}
	s.spoilt, s.junk = id, broken[s.draw(len(broken))]
	if err := s.mem.SetEX(ctx, s.junk, []byte("junk"), time.Hour); err != nil {
		panic(err)
	}
}

func (s *scene) everybody() []string { return append(append([]string{}, s.to...), s.others...) }

// answeredBefore has id's answer to an earlier round stand in the store, and in the air.
func (s *scene) answeredBefore(id string) {
	q := question(earlier, id)
	sealed, err := envelope.AppendAck(nil, ring, &envelope.Ack{
		SignalID: q.ID, Digest: envelope.Digest(&q), Sender: asker, Receiver: id, Incarnation: 1, Session: "before",
		Time: s.world.Now(), Result: []byte(id + " before"),
	})
	if err == nil {
		err = s.mem.SetEX(ctx, space.Ack(asker, q.ID), sealed, times.Ack)
	}
	if err != nil {
		panic(err)
	}
	s.air = append(s.air, sealed)
}

// question is what id is asked in a round.
func question(round_, id string) envelope.Signal {
	return envelope.Signal{
		ID: space.Question(asker, round_, id), Sender: asker, Receiver: id, Type: round.QuestionType, Round: round_,
		Payload: []byte("what of " + round_),
	}
}

// broken notes a violation. Only the first one counts: others may follow from it.
func (s *scene) broken(format string, args ...any) {
	if s.violation == nil {
		s.violation = fmt.Errorf(format, args...)
	}
}

func (s *scene) unique(prefix string) string {
	s.fresh++
	return fmt.Sprint(prefix, s.fresh)
}

// maybe draws whether something out of the ordinary happens.
func (s *scene) maybe(what string) bool {
	return !s.over && !s.plain && s.violation == nil && s.c.Choose(what, 2) == 1
}

// process is what a life has: its way to the store, its clock, and how it waits.
type process struct {
	scene *scene
	actor *sim.Actor // nil for who comes after the run
	port  *port
}

// port is the way to the store. It outlives the run.
type port struct{ store.Store }

func (p *port) Capabilities() store.Capabilities { return store.CapabilitiesOf(p.Store) }

func (s *scene) process(a *sim.Actor) *process { return &process{s, a, &port{a.Store()}} }

func (p *process) now() time.Time { return p.scene.world.Now() }

func (p *process) sleep(d time.Duration) {
	if p.scene.over {
		p.scene.world.Advance(d)
		return
	}
	p.actor.Sleep(d)
}

// desk makes few attempts, as those do who come again anyway.
func (p *process) desk(st store.Store) *work.Desk {
	return &work.Desk{
		Store: st, Space: space, Ring: ring, Times: work.DefaultTimes, Now: p.now, By: p.scene.unique("desk"),
		Pause: func(_ context.Context, attempt int) error {
			if attempt > 2 {
				return store.ErrUnavailable
			}
			p.sleep(poll / 4)
			return nil
		},
	}
}

// until repeats f while it fails, a few times.
func (p *process) until(f func() error) bool {
	for range 3 {
		if f() == nil {
			return true
		}
	}
	return false
}

// through is the store as the mutant sees it.
func (p *process) through(broken func(*scene, store.Store) store.Store) store.Store {
	if broken == nil {
		return p.port
	}
	return broken(p.scene, p.port)
}

// standing returns the true reply to q that stands in the store, agreed upon or not; nil where there is none.
func (s *scene) standing(q envelope.Signal) *envelope.Ack {
	data, err := s.mem.Get(ctx, space.Ack(asker, q.ID))
	if err != nil {
		return nil
	}
	ack, err := envelope.OpenAck(ring, asker, q.ID, data)
	if err != nil || !ack.Answers(&q) {
		return nil
	}
	return ack
}

// registered lists the incarnations of id that are in the registry, in the order in which they came.
func (s *scene) registered(id string) (all []int64) {
	for n := range s.counter(space.Members().Tail) {
		if m := s.entry(n + 1); m != nil && m.ID == id {
			all = append(all, m.Incarnation)
		}
	}
	return all
}

// entry is one of the registry, nil where there is none yet. What stands there stays.
func (s *scene) entry(n int64) *envelope.Member {
	if s.registry[n] == nil {
		data, _ := s.mem.Get(ctx, space.Members().Entry(n))
		if m, err := envelope.OpenMember(ring, data); err == nil {
			s.registry[n] = m
		}
	}
	return s.registry[n]
}

func (s *scene) counter(key string) int64 {
	data, _ := s.mem.Get(ctx, key)
	n, _ := strconv.ParseInt(string(data), 10, 64)
	return n
}

// lastNumber is the last incarnation number that was taken.
func (s *scene) lastNumber(id string) int64 { return s.counter(space.Incarnation(id)) }

func (s *scene) lastRegistered(id string) (last int64) {
	for _, n := range s.registered(id) {
		last = max(last, n)
	}
	return last
}

// lastSeen is the last incarnation of id that was there, though what it left may be gone.
func (s *scene) lastSeen(id string) int64 { return max(s.lastRegistered(id), s.left[id]) }

// ended reports whether it is decided that o has ended so.
func (s *scene) ended(o work.Owner, how work.Reason) bool {
	p := process{scene: s}
	death, dead, err := p.desk(s.mem).Dead(ctx, o)
	return err == nil && dead && death.Reason == how
}

func (s *scene) deadBySilence(o work.Owner) bool { return s.ended(o, work.Silent) }

// whose is the member that gave an answer to this round; "" if nobody did.
func (s *scene) whose(answer string) string { return s.given[strings.TrimPrefix(answer, "no: ")] }

// draw draws one of n; the plain one once the run is over.
func (s *scene) draw(n int) int {
	if s.over || s.plain || s.violation != nil {
		return 0
	}
	return s.c.Choose("world", n)
}

// since notes the moment at which something happened first.
func since[K comparable](s *scene, first map[K]int, what K) {
	s.now++
	if first[what] == 0 {
		first[what] = s.now
	}
}
