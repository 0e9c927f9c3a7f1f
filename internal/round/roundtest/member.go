package roundtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// life is one incarnation of a member.
type life struct {
	*process
	id      string
	me      envelope.Instance
	box     *mailbox.Box
	ticket  int64 // in the registry
	tries   int   // to register
	joined  bool
	ended   bool // it crashed, could not join, has left, or knows that there is a later one
	handed  map[string]bool
	unacked []*mailbox.Delivery
}

// spawnMember starts a life of id, and where it crashes another one, up to more.
func (s *scene) spawnMember(id string, more int) {
	s.world.Spawn(s.unique(id+"#"), func(a *sim.Actor) {
		l := &life{process: s.process(a), id: id, handed: map[string]bool{}}
		s.members = append(s.members, l)
		defer func() {
			l.ended = l.ended || a.Crashed() || !l.joined
			if a.Crashed() && !s.over && more > 0 {
				s.spawnMember(id, more-1)
			}
		}()
		if l.join(); !l.joined {
			return
		}
		for range s.passes {
			l.pass()
			a.Sleep(poll)
			if more > 0 && l.goes() {
				s.spawnMember(id, more-1)
				return
			}
		}
	})
}

// goes: it leaves, or its process ends without a word. The next one comes at once or in a while.
func (l *life) goes() bool {
	s := l.scene
	if !s.leaves || l.ended {
		return false
	}
	switch s.draw(4) {
	case 1:
		l.leave()
	case 2:
		l.ended = true
	}
	if l.ended {
		l.sleep(time.Duration(s.draw(3)) * poll)
	}
	return l.ended
}

// leave ends it on purpose, and takes away what need not be remembered.
func (l *life) leave() {
	me := work.Owner{ID: l.id, Incarnation: l.me.Incarnation}
	death, _, err := l.desk(l.port).DecideDead(ctx, me, work.Death{Reason: work.Left})
	if l.ended = true; err != nil || death.Reason != work.Left {
		return
	}
	l.scene.world.Seen("left")
	l.scene.left[l.id] = max(l.scene.left[l.id], me.Incarnation)
	if l.tries == 1 { // else it may be registered a second time, or going to be
		_ = l.desk(l.through(l.scene.m.leaver)).Tidy(ctx, me, l.ticket)
	}
}

// join takes a number, registers, beats, supersedes the earlier, and opens the mailbox.
func (l *life) join() {
	st := l.port
	number := func() (err error) { l.me.Incarnation, err = st.Incr(ctx, space.Incarnation(l.id)); return err }
	if !l.until(number) {
		return
	}
	l.me.Session = l.scene.unique("session")
	l.box = &mailbox.Box{
		Post: mailbox.Post{Store: st, Space: space, Ring: ring, Times: times, Now: l.now}, Self: l.id, Me: l.me,
	}
	supersede := func() error { return l.desk(st).Supersede(ctx, work.Owner{ID: l.id, Incarnation: l.me.Incarnation}) }
	open := func() error { return l.box.Join(ctx, "generation") }
	for _, step := range []func() error{l.register, l.beat, supersede, open} {
		if !l.until(step) {
			l.scene.world.Seen("could not join")
			return
		}
	}
	l.joined = true
}

func (l *life) register() error {
	entry, err := envelope.AppendMember(nil, ring, &envelope.Member{ID: l.id, Incarnation: l.me.Incarnation, Session: l.me.Session})
	if err != nil {
		panic(err)
	}
	log := ticketlog.Log{Store: l.port, Keys: space.Members(), Times: times.Log, Now: l.now}
	l.tries++
	l.ticket, err = log.Append(ctx, entry, "")
	return err
}

func (l *life) beat() error {
	sealed, err := envelope.AppendHeartbeat(nil, ring, &envelope.Heartbeat{
		ID: l.id, Incarnation: l.me.Incarnation, Session: l.me.Session, Seq: 1, Time: l.now(), Status: "alive",
	})
	if err != nil {
		panic(err)
	}
	return l.port.SetEX(ctx, space.Heartbeat(l.id), sealed, 3*poll) // it expires while its life goes on
}

// pass is one turn of the runtime: what is read is answered, and acknowledged now or later.
func (l *life) pass() {
	busy := l.scene.leaves && l.scene.draw(3) > 0
	if l.ended || busy {
		return
	}
	if err := l.box.Read(ctx); errors.Is(err, mailbox.ErrSuperseded) {
		l.ended = true
		return
	}
	l.serve()
	if !l.scene.maybe("acknowledged later") {
		l.acknowledge()
	}
	if !l.scene.maybe("flushed later") {
		_ = l.box.Flush(ctx)
	}
}

func all(*envelope.Signal) bool { return true }

func (l *life) serve() {
	for {
		d, ask := l.box.Take(all)
		switch {
		case ask && l.box.Ask(ctx, all) == nil:
		case d == nil:
			l.box.Rest()
			return
		default:
			l.answer(d)
		}
	}
}

// answer gives each hand-over an answer of its own, so that the one that counts can be told.
func (l *life) answer(d *mailbox.Delivery) {
	s := l.scene
	s.asked(l, d.Signal)
	text := fmt.Sprintf("%s/%d says %s", l.id, l.me.Incarnation, s.unique("a"))
	s.given[text] = l.id
	refuses := s.maybe("refuses")
	reason := ""
	if refuses {
		reason = "no: " + text
	}
	if err := l.box.Answer(d, []byte(text), refuses, reason); err != nil {
		panic(err)
	}
	l.unacked = append(l.unacked, d)
}

// acknowledge writes the replies that are due, and hints them to the asker.
func (l *life) acknowledge() {
	owed := append(l.box.Again(), l.unacked...)
	l.unacked = nil
	for _, d := range owed {
		ops := l.box.AckOps(nil, d)
		if store.FirstError(store.Batch(ctx, l.port, ops[:1])) != nil {
			l.unacked = append(l.unacked, d)
			continue
		}
		l.scene.air = append(l.scene.air, ops[0].Value)
		since(l.scene, l.scene.first, l.id)
		l.box.Confirm(d)
	}
}

// spawnMonitor starts the one who has the deaths decided: of those whose process has ended without leaving, and of some
// who live.
func (s *scene) spawnMonitor() {
	s.world.Spawn("monitor", func(a *sim.Actor) {
		p := s.process(a)
		for range s.passes {
			s.declare(p)
			a.Sleep(poll)
		}
	})
}

// declare decides who is dead, of those who have registered.
func (s *scene) declare(p *process) {
	for _, id := range s.everybody() {
		for _, n := range s.registered(id) {
			if s.lives_(id, n) && !(s.accused > 0 && s.draw(4) == 1) {
				continue
			}
			if s.lives_(id, n) {
				s.accused--
				s.world.Seen("accused though it lives")
			}
			o := work.Owner{ID: id, Incarnation: n}
			if !s.deadBySilence(o) {
				since(s, s.declared, o)
				_, _, _ = p.desk(p.port).DecideDead(ctx, o, work.Death{Reason: work.Silent})
			}
		}
	}
}

// lives_ reports whether that incarnation's process runs.
func (s *scene) lives_(id string, n int64) bool {
	for _, l := range s.members {
		if l.id == id && l.me.Incarnation == n && !l.ended {
			return true
		}
	}
	return false
}

// asked judges a hand-over.
func (s *scene) asked(l *life, q *envelope.Signal) {
	want := question(name, l.id)
	switch {
	case q.ID != want.ID || q.Round != name:
		s.broken("G4: %s was asked under another name: %s", l.id, q.ID)
	case l.handed[q.ID]:
		s.broken("G4: %s/%d was asked twice", l.id, l.me.Incarnation)
	case s.settled[l.id].state != "" && s.standing(want) != nil:
		s.broken("G4: %s was asked again, though its answer was seen", l.id)
	}
	l.handed[q.ID] = true
	if l.actor != nil {
		l.actor.Note("is asked")
	}
}

const grace = 3 * time.Second // longer than a hole in a log stays open
