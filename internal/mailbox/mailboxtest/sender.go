package mailboxtest

import (
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/sim"
)

// sender is one life of a sender.
type sender struct {
	scene   *scene
	actor   *sim.Actor
	port    *port
	post    *mailbox.Post
	name    string
	session string
	seen    envelope.Instance // the receiver as last seen in an ACK
}

// spawnSender starts a life of a sender: it goes on with signal number from, and then repeats old.
func (s *scene) spawnSender(name string, from int, old []*post) {
	s.world.Spawn(name, func(a *sim.Actor) {
		me := &sender{scene: s, actor: a, port: &port{Store: a.Store(), scene: s}, name: name, session: s.unique("x")}
		if s.shared {
			me.session = "x"
		}
		me.post = &mailbox.Post{
			Store: through(s.m.sender, me.port), Space: space, Ring: ring, Times: times, Now: a.Now,
		}
		next := from
		defer func() {
			if a.Crashed() && !s.over && s.restarts > 0 {
				s.restarts--
				if s.rounds {
					next++ // it is among the unfinished
				}
				s.spawnSender(name+"'", next, me.unfinished())
			}
		}()
		for ; next < s.signals; next++ {
			me.send(me.id(next), me.round(), fmt.Append(nil, me.base(), " ", next))
		}
		for _, p := range old {
			me.send(p.signal.ID, p.signal.Round, p.signal.Payload)
		}
	})
}

// base is the sender's id: a life has a prime for each restart.
func (s *sender) base() string { return s.name[:2] }

func (s *sender) id(i int) string {
	if s.scene.sameIDs {
		return fmt.Sprint("same-", i)
	}
	return fmt.Sprint(s.base(), "-", i)
}

func (s *sender) round() string {
	if s.scene.rounds && !s.scene.m.unmarked {
		return "round"
	}
	return ""
}

// unfinished are the signals that a next life repeats under their old ids.
func (s *sender) unfinished() (old []*post) {
	for _, p := range s.scene.posts {
		if s.scene.rounds && p.by == s && !p.acked {
			old = append(old, p)
		}
	}
	return old
}

// send posts one signal until that is confirmed, and where the scene sends, again and again until its ACK.
func (s *sender) send(id, round string, payload []byte) {
	p := s.make(id, round, payload)
	attempts := 4
	if s.scene.send {
		attempts = 3
	}
	for i := range attempts {
		s.attempt(p)
		if !s.scene.send && p.confirmed > 0 {
			s.actor.Sleep(time.Second)
			s.look(p)
			return
		}
		if s.look(p); p.acked || s.scene.m.once && p.confirmed > 0 {
			return
		}
		if s.scene.send {
			s.actor.Sleep(time.Second << i)
		}
	}
}

func (s *sender) attempt(p *post) {
	s.scene.appending++
	defer func() { s.scene.appending-- }()
	err := s.post.Append(ctx, "r", p.sealed)
	if s.scene.m.renamed && err != nil {
		p = s.make(p.signal.ID+"-again", p.signal.Round, p.signal.Payload)
		err = s.post.Append(ctx, "r", p.sealed)
	}
	if p.confirmed == 0 && (err == nil || s.scene.m.hopeful) {
		p.confirmed = s.scene.moment()
	}
}

func (s *sender) make(id, round string, payload []byte) *post {
	s.scene.seq++
	signal := &envelope.Signal{
		ID: id, Sender: s.base(), Receiver: "r", Type: "wake", Time: s.actor.Now().Add(s.scene.ahead),
		Incarnation: 1, Session: s.session, Seq: s.scene.seq, To: s.seen, Round: round, Payload: payload,
	}
	sealed, err := envelope.AppendSignal(nil, ring, signal)
	if err != nil {
		panic(err)
	}
	p := &post{signal: signal, sealed: sealed, by: s, begun: s.scene.moment()}
	s.scene.posts = append(s.scene.posts, p)
	return p
}

// look polls for the ACK of p.
func (s *sender) look(p *post) {
	if !s.scene.send && s.scene.losses == 0 && s.scene.attacks == 0 && !s.scene.hints {
		return
	}
	if s.scene.m.look != nil {
		s.scene.m.look(s, p)
		return
	}
	acks, _ := s.post.Acks(ctx, []*envelope.Signal{p.signal}, func(error) { s.scene.world.Seen("ACK refused") })
	if ack := acks[0]; ack != nil {
		s.scene.acknowledged(p, ack)
		s.seen = envelope.Instance{Incarnation: ack.Incarnation, Session: ack.Session}
	}
}
