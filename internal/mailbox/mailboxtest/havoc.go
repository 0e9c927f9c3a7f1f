package mailboxtest

import (
	"bytes"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

// spawnHavoc starts the one who loses the store's data, and the one who writes to it without the key. What they do is
// one step each.
func (s *scene) spawnHavoc() {
	if s.losses > 0 {
		s.world.Spawn("loss", func(a *sim.Actor) {
			for range s.losses {
				s.bide(a)
				s.lose(a)
				a.Sleep(0)
			}
		})
	}
	if s.attacks > 0 {
		s.world.Spawn("mallory", func(a *sim.Actor) {
			for range s.attacks {
				s.bide(a)
				s.attack(a)
				a.Sleep(0)
			}
		})
	}
}

// bide lets some of the run pass.
func (s *scene) bide(a *sim.Actor) {
	if s.drawn {
		a.Sleep(time.Duration(s.c.Choose("next", 6)) * time.Second)
	}
}

// lose takes every key.
func (s *scene) lose(a *sim.Actor) {
	all, _ := s.mem.Keys(ctx, space.Prefix())
	for _, key := range all {
		_, _ = s.mem.Expire(ctx, key, 0)
	}
	s.lost, s.torn = s.moment(), s.torn || s.appending > 0
	for _, r := range s.receivers {
		r.acked, r.asked = nil, nil
	}
	s.world.Seen("loss")
	a.Note("the store loses %d keys", len(all))
}

// attack does one thing that somebody without the key can do. Deleting and overwriting is not among it, where it is the
// same as a store that loses data.
func (s *scene) attack(a *sim.Actor) {
	if len(s.posts) == 0 {
		return
	}
	p := s.posts[s.c.Choose("next", len(s.posts))]
	kind := s.c.Choose("next", 6)
	switch kind {
	case 0: // an old signal under a new ticket
		s.insert(p.sealed)
	case 1: // half a signal
		s.insert(p.sealed[:len(p.sealed)/2])
	case 2: // another one's mind in it
		s.insert(bytes.Replace(p.sealed, []byte(`"type":"wake"`), []byte(`"type":"work"`), 1))
	case 3: // another receiver's
		s.insert(s.foreign())
	case 4: // an ACK under another signal's key
		s.moveAck()
	case 5: // an old cursor
		if len(s.cursors) > 0 {
			_ = s.mem.SetEX(ctx, space.Cursor("r"), s.cursors[s.c.Choose("next", len(s.cursors))], times.Cursor)
		}
	}
	a.Note("attack %d with %s", kind, p.signal.ID)
}

func (s *scene) insert(value []byte) {
	log := ticketlog.Log{Store: s.mem, Keys: names, Times: times.Log, Now: s.world.Now}
	_, _ = log.Append(ctx, value, "")
}

// foreign is a true signal for somebody else.
func (s *scene) foreign() []byte {
	sealed, err := envelope.AppendSignal(nil, ring, &envelope.Signal{
		ID: "f", Sender: "s0", Receiver: "q", Type: "wake", Time: s.world.Now(), Session: "f", Seq: 1,
	})
	if err != nil {
		panic(err)
	}
	return sealed
}

// moveAck copies an ACK that stands to where one is missing.
func (s *scene) moveAck() {
	stand, _ := s.mem.Keys(ctx, space.AckPrefix())
	if len(stand) == 0 {
		return
	}
	data, _ := s.mem.Get(ctx, stand[s.c.Choose("next", len(stand))])
	for _, p := range s.posts {
		key := space.Ack(p.signal.Sender, p.signal.ID)
		if _, err := s.mem.Get(ctx, key); err != nil {
			_ = s.mem.SetEX(ctx, key, data, times.Ack)
			return
		}
	}
}
