package roundtest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/round"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// TestMutantsAreKilled: each within so many random runs.
func TestMutantsAreKilled(t *testing.T) {
	if proof.Slow > 1 {
		t.Skip("they are killed without the race detector")
	}
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) { proof.Kill(t, 10_000, m.breaks, proof.Trial{Play: m.play, Chance: sim.Sticky}) })
	}
}

type mutation struct {
	breaks string // the invariants
	config
}

func mutants() map[string]mutation {
	m := func(breaks string, m mutant, change func(*config)) mutation {
		c := perils()
		change(&c)
		c.m = m
		return mutation{breaks, c}
	}
	plain := func(*config) {}
	twins := func(c *config) { c.twins, c.askers = 2, 2 }
	accused := func(c *config) { deaths(c); c.accused, c.lives = 2, 0 }
	calm := func(c *config) { // but that somebody who has just replied is accused
		c.Options = sim.Options{Preemptions: -1}
		c.to, c.lives, c.accused, c.looks, c.passes, c.until = []string{"v1"}, 0, 2, 6, 6, atLeast(1)
	}
	return map[string]mutation{
		"asks before it has looked":                        m("G1", mutant{turn: askAtOnce}, plain),
		"asks with every turn":                             m("G1 G4", mutant{turn: askAgain}, plain),
		"the reply of another round counts":                m("G4", mutant{asker: otherRound}, plain),
		"a substitute is asked under the name of the dead": m("G4", mutant{rename: underItsName}, substitutes),
		"a substitute counts for two":                      m("G4", mutant{turn: countTwice}, substitutes),
		"a settled member is settled again":                m("G2", mutant{hear: settleAgain}, twins),
		"a reply counts before it is agreed upon":          m("G2", mutant{asker: unagreed}, twins),
		"a cancelled gather takes the replies with it":     m("G2 G3 G4", mutant{cancel: forget}, plain),
		"silence is death":                                 m("G3", mutant{asker: hasty}, accused),
		"a burnt number hides a death":                     m("G3", mutant{asker: unlisted}, deaths),
		"an earlier life's death is its own":               m("G3", mutant{asker: firstLives}, deaths),
		"who leaves hides that an earlier life has died":   m("G3", mutant{leaver: oblivious}, leaving),
		"the answer of a substitute is not looked for":     m("G2", mutant{asker: unrecalled}, returning),
		"one broken record stops the round":                m("S7", mutant{asker: infected}, func(c *config) { c.spoils = true }),
		"what it replied before it died is not looked for": m("G3", mutant{asker: lateReplies}, calm),
		"decides without agreement":                        m("G5", mutant{decide: alone}, func(c *config) { c.Faults, c.gathers = 8, 4 }),
		"decides though it is fenced":                      m("G5", mutant{decide: unfenced}, twins),
	}
}

func askAtOnce(g *gathering) {
	if g.before != nil {
		return
	}
	for _, id := range g.scene.to {
		g.ask(question(name, id))
	}
	g.look()
	g.round.Due() // they are asked
}

func askAgain(g *gathering) {
	for _, q := range slices.Clone(g.sent) {
		g.ask(q.signal)
	}
}

func underItsName(g *gathering, q *envelope.Signal) {
	for _, m := range g.round.Members() {
		if m.ID == q.Receiver && m.Replaces != "" {
			q.ID = space.Question(asker, name, m.Replaces)
		}
	}
}

// countTwice counts a substitute for each of those in whose place it would be asked.
func countTwice(g *gathering) {
	g.round.Until = func(members []round.Member) bool {
		for _, m := range slices.Clone(members) {
			i := slices.IndexFunc(members, func(o round.Member) bool { return o.ID == g.scene.onDeath[m.ID] })
			if m.State == round.Dead && m.ReplacedBy == "" && i >= 0 {
				members = append(members, members[i])
			}
		}
		return g.scene.until(members)
	}
}

// settleAgain takes every true ACK for the answer.
func settleAgain(g *gathering, sealed []byte) {
	for _, q := range g.sent {
		if ack, err := envelope.OpenAck(ring, asker, q.signal.ID, sealed); err == nil && ack.Answers(&q.signal) {
			o := outcome{round.Answered, ack.Incarnation, string(ack.Result)}
			if ack.Rejected {
				o.state, o.answer = round.Rejected, ack.Reason
			}
			g.scene.settle(ack.Receiver, o)
		}
	}
}

// forget deletes what it has not counted.
func forget(g *gathering) {
	for _, m := range g.round.Members() {
		if m.State == round.Open {
			_, _ = g.port.Expire(ctx, space.Ack(asker, question(name, m.ID).ID), 0)
		}
	}
}

// alone decides by looking whether somebody has.
func alone(ctx context.Context, desk *work.Desk, me work.Owner, _, what, reason, _ string) (o round.Outcome, mine bool, err error) {
	const key = namespace + ":outcome"
	if _, dead, err := desk.Dead(ctx, me); dead || err != nil {
		return o, false, errCancelled
	}
	raw, err := desk.Store.Get(ctx, key)
	if err == nil {
		return o, false, json.Unmarshal(raw, &o)
	}
	o = round.Outcome{Outcome: what, Reason: reason, By: me.ID, Incarnation: me.Incarnation}
	raw, err = json.Marshal(o)
	if err == nil {
		err = desk.Store.SetEX(ctx, key, raw, time.Hour)
	}
	return o, true, err
}

func unfenced(ctx context.Context, desk *work.Desk, me work.Owner, name, what, reason, call string) (round.Outcome, bool, error) {
	d := *desk
	d.Store = absent{d.Store, func(key string) bool { return strings.Contains(key, ":decide:{dead/") }}
	return round.Decide(ctx, &d, me, name, what, reason, call)
}

// absent is a store in which some keys are not there.
type absent struct {
	store.Store
	hidden func(key string) bool
}

func (s absent) Get(ctx context.Context, key string) ([]byte, error) {
	if s.hidden(key) {
		return nil, store.ErrNotFound
	}
	return s.Store.Get(ctx, key)
}

func unagreed(_ *scene, st store.Store) store.Store {
	return absent{st, func(key string) bool {
		return strings.Contains(key, "/reply/") && !strings.HasSuffix(key, ":n")
	}}
}

func unlisted(_ *scene, st store.Store) store.Store {
	return absent{st, func(key string) bool { return key == space.Members().Tail }}
}

// oblivious does not see how the incarnation before it has ended.
func oblivious(_ *scene, st store.Store) store.Store {
	return absent{st, func(key string) bool { return strings.Contains(key, ":decide:{dead/") }}
}

// infected reads nothing any more once it has read what is broken.
func infected(s *scene, st store.Store) store.Store {
	sick := false
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		if sick = sick || key == s.junk; sick {
			return nil, store.ErrWrongType
		}
		return value, err
	}}
}

// seen is a store whose Get answers something else.
type seen struct {
	store.Store
	get func(key string, value []byte, err error) ([]byte, error)
}

func (s seen) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := s.Store.Get(ctx, key)
	return s.get(key, value, err)
}

// otherRound finds the reply to the earlier round where there is none to this one.
func otherRound(s *scene, st store.Store) store.Store {
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		for _, id := range s.to {
			q, before := question(name, id), question(earlier, id)
			if key != space.Ack(asker, q.ID) || err == nil {
				continue
			}
			ack := s.standing(before)
			ack.SignalID, ack.Digest = q.ID, envelope.Digest(&q)
			return envelope.AppendAck(nil, ring, ack)
		}
		return value, err
	}}
}

// hasty takes those for dead whose heartbeat is absent.
func hasty(s *scene, st store.Store) store.Store {
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		rest, ok := strings.CutPrefix(key, namespace+":decide:{dead/")
		id, _, _ := strings.Cut(rest, "/")
		if _, beats := s.mem.Get(ctx, space.Heartbeat(id)); ok && err != nil && beats != nil {
			return ring.Seal(nil, envelope.KindDecision, []byte(`{"v":1,"reason":"silent","by":"me"}`), key), nil
		}
		return value, err
	}}
}

// firstLives is blind for later lives.
func firstLives(_ *scene, st store.Store) store.Store {
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		if strings.HasPrefix(key, space.HeartbeatPrefix()) || strings.HasPrefix(key, space.Members().EntryPrefix()) &&
			err == nil && !strings.Contains(string(value), `"incarnation":1,`) {
			return nil, store.ErrNotFound
		}
		return value, err
	}}
}

// unrecalled sees what a substitute has answered only once it is asked itself.
func unrecalled(_ *scene, st store.Store) store.Store {
	expected := false
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		expected = expected || key == space.Ack(asker, question(name, "s").ID)
		if key == space.RoundReply(asker, name, "s").Decision() && !expected {
			return nil, store.ErrNotFound
		}
		return value, err
	}}
}

// lateReplies does not see, once it has seen a member's death, what stands in the place of its reply.
func lateReplies(s *scene, st store.Store) store.Store {
	dead := map[string]bool{}
	return seen{st, func(key string, value []byte, err error) ([]byte, error) {
		for _, id := range s.to {
			switch key {
			case space.Incarnation(id):
				dead[id] = false
			case space.Dead(id, 1).Decision():
				dead[id] = err == nil
			case space.Ack(asker, question(name, id).ID), space.RoundReply(asker, name, id).Decision():
				if dead[id] {
					return nil, store.ErrNotFound
				}
			}
		}
		return value, err
	}}
}
