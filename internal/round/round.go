// Package round asks several the same question and collects their answers, as straight lines over a store.
//
// The id of a question follows from (namespace, asker, round, member), so that whoever asks again under the asker's id
// finds what was answered. A reply is the acknowledgement of its question, agreed upon before it counts: two lives of a
// member may both have replied, and the later acknowledgement stands in the place of the earlier one.
//
//	r := round.New(desk, question, ids)
//	for err := r.Look(ctx); !r.Over(); err = r.Look(ctx) { // who has replied, who is dead
//		for _, q := range r.Due() {                    // who is to be asked: each once
//			append q to the mailbox of q.Receiver, again and again until its ACK comes: r.Settle(ctx, ack)
//			r.Asked(q.Receiver, err) // nil once that mailbox has taken it
//		}
//		pause
//	}
//	err = r.End(err)
//
// # Invariants
//
// G1: nobody is asked before it was looked up whether it has replied. G2: who has replied has done so for all, in all
// later rounds of that name, with the same reply. G3: dead is whose last registered incarnation is decided dead by
// silence, and who has not replied. G4: nobody is asked or counted twice, nor under the name of another. G5: the decision
// is one. S7 holds here too: where a record of one member is broken, the others neither wait for that nor end with it.
//
// Nothing here starts a goroutine, takes a lock, or reads a clock or randomness but what it is given. A Round has one
// owner at a time.
package round

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

var (
	// ErrIncomplete: it ended before there were enough answers.
	ErrIncomplete = errors.New("incomplete")
	// ErrOtherQuestion: somebody has replied to another question of that name.
	ErrOtherQuestion = errors.New("the round was used for another question")
)

// QuestionType is the type of the signals that ask.
const QuestionType = "question"

// State is what became of one who was asked.
type State string

// The states. While a round goes on, who has not replied is Open.
const (
	Open     State = "open"
	Answered State = "answered"
	Rejected State = "rejected"
	Dead     State = "dead"
	Silent   State = "silent"
)

// Member is one who is asked.
type Member struct {
	ID          string
	State       State
	Reason      string // why there is no answer
	Incarnation int64  // that replied or died
	Replaces    string // the dead one in whose place it is asked
	ReplacedBy  string
	Trouble     error // what kept the last Look from finding out about it
}

// OnDeath is what happens when a member is found dead. The zero value goes on without it.
type OnDeath struct {
	Fail       bool
	Substitute func(id string) string // "" for nobody; the same for the same id
}

// Round is one gathering under way.
type Round struct {
	Desk     *work.Desk // of few attempts: what fails is done again by the next Look
	Question envelope.Signal
	Until    func([]Member) bool
	OnDeath  OnDeath
	Accept   func(from string, result []byte) error // an error makes a rejection of the answer
	Refused  func(error)                            // told of what stands in the place of a reply and is none

	members  []*member
	registry registry
	lost     error // why it cannot go on
}

// member is one, and what is known of it.
type member struct {
	Member
	question envelope.Signal
	looked   bool // whether it has replied was looked up, or somebody in its place
	unread   bool // what stands in the place of its reply could not be read now
	asked    bool
	unasked  error         // why asking failed
	refused  []byte        // what stood there instead of its reply
	reply    *envelope.Ack // that was agreed upon
}

// New returns a round in which ids are asked question, whose sender, type, round and payload are set.
func New(desk *work.Desk, question envelope.Signal, ids ...string) *Round {
	r := &Round{Desk: desk, Question: question}
	for _, id := range ids {
		r.expect(Member{ID: id})
	}
	return r
}

func (r *Round) expect(m Member) {
	m.State = Open
	q := r.Question
	q.ID, q.Receiver = r.Desk.Space.Question(q.Sender, q.Round, m.ID), m.ID
	r.members = append(r.members, &member{Member: m, question: q})
}

// Members are those who were named, in their order, and then their substitutes.
func (r *Round) Members() []Member {
	all := make([]Member, len(r.members))
	for i, m := range r.members {
		all[i] = m.Member
	}
	return all
}

// Waits reports whether id is a member that has neither replied nor died.
func (r *Round) Waits(id string) bool { m := r.member(id); return m != nil && m.State == Open }

// Reply is what id has replied; nil where it has not.
func (r *Round) Reply(id string) *envelope.Ack {
	if m := r.member(id); m != nil {
		return m.reply
	}
	return nil
}

func (r *Round) member(id string) *member {
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	return r.members[i]
}

func (r *Round) open() []*member {
	return slices.DeleteFunc(slices.Clone(r.members), func(m *member) bool { return m.State != Open })
}

// Due returns the questions to those who have not been asked and have not replied; each once, unless that failed: see Asked.
func (r *Round) Due() (due []envelope.Signal) {
	if r.Over() {
		return nil
	}
	for _, m := range r.open() {
		if m.looked && !m.asked { // G1
			m.asked = true
			due = append(due, m.question)
		}
	}
	return due
}

// Asked says what became of asking id: nil if its mailbox has taken the question. If not, for a reason of that mailbox's
// own, that may be mended: the question is due again.
func (r *Round) Asked(id string, err error) {
	if m := r.member(id); m != nil {
		m.asked, m.unasked = err == nil, err
	}
}

func (r *Round) enough() bool { return r.Until(r.Members()) }

// Lose ends the round: it cannot go on.
func (r *Round) Lose(cause error) { r.lost = cause }

// Over reports whether there is nothing to wait for.
func (r *Round) Over() bool { return r.lost != nil || len(r.open()) == 0 || r.enough() }

// End has the open be silent, and returns nil where there is enough, else ErrIncomplete and why; cause, if not nil, is
// what ended it.
func (r *Round) End(cause error) error {
	cause = errors.Join(r.lost, cause)
	enough, why := r.enough(), "enough had answered before"
	if !enough && cause != nil {
		why = cause.Error()
	}
	unknown := false
	for _, m := range r.open() {
		m.State, m.Reason = Silent, m.silence(why)
		unknown = unknown || !m.looked && !spoilt(m.Trouble)
	}
	if unknown && cause != nil && !errors.Is(cause, ErrOtherQuestion) {
		cause = fmt.Errorf("%w: %w: the store never said who had replied", cause, store.ErrUnavailable)
	}
	switch {
	case errors.Is(cause, ErrOtherQuestion):
	case enough:
		return nil
	case cause == nil:
		return ErrIncomplete
	}
	return fmt.Errorf("%w: %w", ErrIncomplete, cause)
}

// silence is why m is silent: what is broken about it, or else why the round has ended.
func (m *member) silence(why string) string {
	switch {
	case spoilt(m.Trouble):
		return m.Trouble.Error()
	case m.unasked != nil:
		return "it could not be asked: " + m.unasked.Error()
	}
	return why
}

// spoilt: the trouble is with one member's records. Where access is denied, that is everybody's.
func spoilt(err error) bool {
	return errors.Is(err, agree.ErrForged) || errors.Is(err, work.ErrMalformed) ||
		store.Permanent(err) && !errors.Is(err, store.ErrDenied)
}

// replace does what the policy asks for when m is found dead.
func (r *Round) replace(m *member) {
	if r.OnDeath.Fail {
		r.lost = fmt.Errorf("%s is dead", m.ID)
	}
	id := r.substitute(m.ID)
	if id == "" {
		return
	}
	if err := keys.CheckID(id); err != nil {
		r.lost = fmt.Errorf("substitute: %w", err)
		return
	}
	r.stand(id, m)
}

// substitute is who is to be asked in the place of id; "" for nobody.
func (r *Round) substitute(id string) string {
	if r.OnDeath.Substitute == nil {
		return ""
	}
	if id = r.OnDeath.Substitute(id); r.member(id) != nil { // G4
		return ""
	}
	return id
}

// stand has id asked in the place of m.
func (r *Round) stand(id string, m *member) {
	m.ReplacedBy = id
	r.expect(Member{ID: id, Replaces: m.ID})
}

// Settle takes in an acknowledgement that came by itself. After an error its member is open as before, and the next Look
// or Settle settles it; ErrOtherQuestion stays.
func (r *Round) Settle(ctx context.Context, ack *envelope.Ack) error {
	if m := r.member(ack.Receiver); m != nil && m.State == Open {
		return r.settle(ctx, m, ack)
	}
	return nil // G2: who is settled stays so
}
