package coord

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/round"
)

// Round is what became of one Gather. It does not change any more, but for what Decide adds in the store. It may be read
// concurrently.
type Round[Answer any] struct {
	asker   *Coordinator
	id      string
	members []Member
	answers map[string]Answer
}

// MemberState is what became of one who was asked.
type MemberState string

// Every expected member ends in one of the first four.
const (
	MemberAnswered MemberState = "answered"
	MemberRejected MemberState = "rejected" // its handler refused, or what it said could not be decoded
	MemberDead     MemberState = "dead"     // a monitor had its silence decided; who left on purpose is silent instead
	MemberSilent   MemberState = "silent"   // nothing came before the Gather ended
	MemberOpen     MemberState = "open"     // while the Gather goes on: a Condition sees it
)

// Member is one who was asked.
type Member struct {
	ID          string
	State       MemberState
	Reason      string // why there is no answer; empty where there is one
	Incarnation int64  // that replied or died; 0 if silent
	Replaces    string // the dead one in whose place it was asked; optional
	ReplacedBy  string // who was asked in its place; optional
}

// Condition says when a Gather has enough. members are those of To in their order, then their substitutes.
type Condition func(members []Member) bool

// All has Gather wait for an answer of everybody, or of their substitutes. It is the default.
func All() Condition {
	return func(members []Member) bool {
		return !slices.ContainsFunc(members, func(m Member) bool {
			return m.State != MemberAnswered && m.ReplacedBy == ""
		})
	}
}

// AtLeast has Gather wait for k answers. A rejection is none.
func AtLeast(k int) Condition {
	return func(members []Member) bool {
		n := 0
		for _, m := range members {
			if m.State == MemberAnswered {
				n++
			}
		}
		return n >= k
	}
}

// Any has Gather wait for one answer.
func Any() Condition { return AtLeast(1) }

// DeathPolicy says what a Gather does when a member is declared dead before it has replied.
type DeathPolicy struct {
	fail       bool
	substitute func(id string) string
}

// Skip goes on without the dead. It is the default.
func Skip() DeathPolicy { return DeathPolicy{} }

// Fail ends the Gather.
func Fail() DeathPolicy { return DeathPolicy{fail: true} }

// Substitute asks f(id) in place of the dead one, who may be a substitute himself; "" asks nobody. Nobody is asked a
// second time under another's name. f must return the same for the same id, so that a restarted asker finds the answers
// of the substitutes: who was replaced by one who has replied stays dead for this round, though it came back, unless it
// has replied itself. f may be asked about the living, too.
func Substitute(f func(id string) string) DeathPolicy { return DeathPolicy{substitute: f} }

// roundOptions are those that only Gather and Answer heed.
type roundOptions struct {
	to    []string
	until Condition
	death DeathPolicy
	codec Codec
}

func (o *options) inRound() *roundOptions {
	if o.round == nil {
		o.round = &roundOptions{until: All(), codec: jsonCodec{}}
	}
	return o.round
}

// To names whom Gather asks: at least one, each once.
func To(ids ...string) Option {
	return func(o *options) { r := o.inRound(); r.to = append(r.to, ids...) }
}

// Until says when Gather has enough. Without it, or with nil, All.
func Until(c Condition) Option {
	return func(o *options) {
		if o.inRound().until = c; c == nil {
			o.round.until = All()
		}
	}
}

// OnDeath says what Gather does about a member that is declared dead. Without it, Skip.
func OnDeath(p DeathPolicy) Option { return func(o *options) { o.inRound().death = p } }

// Codec turns questions and answers into bytes and back. The same question must always give the same bytes. Its methods
// may be called concurrently, and keep nothing.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Encoding has Gather or Answer use c instead of JSON, which nil means too.
func Encoding(c Codec) Option {
	return func(o *options) {
		if o.inRound().codec = c; c == nil {
			o.round.codec = jsonCodec{}
		}
	}
}

type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Gather asks everybody named by To the same question, as a signal of type "question", and blocks until their answers
// satisfy Until, everybody has replied or is dead, Within (by default Config.Timeout) is over, or ctx ends. Then it looks
// once more at what stands there, which takes up to a Config.Poll while the store does not answer. Where the answers do
// not satisfy Until, it returns what there is together with ErrIncomplete, which then also matches ErrTimeout, the cause
// of ctx's end, ErrFenced, ErrClosed, or whatever ended it, and ErrUnavailable if the store never said who had replied;
// Round.Missing says who is missing and why. One of whom a record is broken, or whose mailbox is full, delays nobody else:
// he is asked when that is mended, and is silent for that reason otherwise.
//
// round names the round: calling Gather again under the same asker's id, by a restarted process too, finds the answers
// that were given, asks nobody again who has replied, and goes on with the rest. So a Gather that timed out or was
// cancelled has consumed nothing. Who has answered or refused has done so for all later calls, with the same reply; a
// dead one may have come back by then, but for what Substitute says. The question must be the same: ErrOtherQuestion if somebody has replied to another
// one. The signals, and the replies that no Gather has seen, stand for 24 h; those that one has seen for 30 days.
//
// A member's handler (see Answer) runs at most once per incarnation of it, unless it puts the question off; one who has
// not joined yet finds it waiting. A Wait that takes it, as one without OfType does, acknowledges it with nothing, which
// counts: as an empty answer where the codec can read that, and with JSON as a rejection. Deaths are found by looking, each
// Config.Poll, at what the monitors have decided, so some Monitor must run.
// Other errors, with no Round: ErrInvalidID, ErrInvalidConfig, ErrFenced, ErrClosed, and those of the codec.
func Gather[Answer any](ctx context.Context, a *Coordinator, round string, question any, opts ...Option) (*Round[Answer], error) {
	opt := optionsOf(opts)
	r := &Round[Answer]{asker: a, id: round, answers: map[string]Answer{}}
	codec := opt.inRound().codec
	g, err := a.gathering(round, question, opt, func(from string, result []byte) error {
		var answer Answer
		err := codec.Unmarshal(result, &answer)
		if err == nil {
			r.answers[from] = answer
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("round %s: %w", round, err)
	}
	err = g.run(ctx)
	r.members = g.report()
	if err != nil {
		err = fmt.Errorf("round %s: %d of %d answered: %w", round, len(r.answers), len(opt.round.to), err)
	}
	return r, err
}

// Answer makes a Handler, for Serve or Handle, of a function from questions to answers, which are JSON unless Encoding
// says otherwise. The error of f is a rejection and its text travels to the asker, as does that of a question that
// cannot be decoded; it is final for that round. ErrLater has the question come again, and so has the error of ctx when
// that has ended: see Handler.
func Answer[Question, Answer any](f func(ctx context.Context, q Question, s *Signal) (Answer, error), opts ...Option) Handler {
	opt := optionsOf(opts)
	codec := opt.inRound().codec
	return func(ctx context.Context, s *Signal) ([]byte, error) {
		var q Question
		if err := codec.Unmarshal(s.Payload, &q); err != nil {
			return nil, fmt.Errorf("the question cannot be read: %w", err)
		}
		answer, err := f(ctx, q, s)
		if err != nil {
			return nil, err
		}
		return codec.Marshal(answer)
	}
}

// ID is the round's.
func (r *Round[Answer]) ID() string { return r.id }

// Answer returns what id has answered, where it has.
func (r *Round[Answer]) Answer(id string) (answer Answer, ok bool) {
	answer, ok = r.answers[id]
	return answer, ok
}

// Answers yields who has answered and what, in the order of To, then the substitutes.
func (r *Round[Answer]) Answers() iter.Seq2[string, Answer] {
	return func(yield func(string, Answer) bool) {
		for _, m := range r.members {
			if answer, ok := r.answers[m.ID]; ok && !yield(m.ID, answer) {
				return
			}
		}
	}
}

// Members returns what became of everybody, in the order of To, then the substitutes.
func (r *Round[Answer]) Members() []Member { return slices.Clone(r.members) }

// Missing returns those of whom there is no answer, and who were not replaced.
func (r *Round[Answer]) Missing() []Member {
	return slices.DeleteFunc(r.Members(), func(m Member) bool {
		return m.State == MemberAnswered || m.ReplacedBy != ""
	})
}

// Decision is the outcome of a round.
type Decision struct {
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason"`
	By          string `json:"by"` // the asker's id
	Incarnation int64  `json:"incarnation"`
	Mine        bool   `json:"-"` // this very call has taken it
}

// Decide takes the decision of the round, once: whoever decides the same round of the same asker later, in another
// process or after a restart, gets the decision that was taken. Errors: ErrFenced if this incarnation was declared dead
// or superseded, ErrSuspended if others may believe so, ErrClosed. After ErrUnavailable or the end of ctx the outcome is
// unknown: call it again. The decision stands for 30 days.
func (r *Round[Answer]) Decide(ctx context.Context, outcome, reason string) (Decision, error) {
	d, err := r.asker.decideRound(ctx, r.id, outcome, reason)
	if err != nil {
		return Decision{}, fmt.Errorf("decide round %s: %w", r.id, err)
	}
	return d, nil
}

func (a *Coordinator) decideRound(ctx context.Context, name, outcome, reason string) (Decision, error) {
	if err := a.ready(); err != nil {
		return Decision{}, err
	}
	ctx, done := during(ctx, a.life)
	defer done()
	d, mine, err := round.Decide(ctx, a.client.desk, a.owner(), name, outcome, reason, newID())
	return Decision{d.Outcome, d.Reason, d.By, d.Incarnation, mine}, err
}

func checkMembers(ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("%w: To names nobody", ErrInvalidConfig)
	}
	for i, id := range ids {
		if err := keys.CheckID(id); err != nil {
			return fmt.Errorf("member: %w", err)
		}
		if slices.Contains(ids[:i], id) {
			return fmt.Errorf("%w: To names %s twice", ErrInvalidConfig, id)
		}
	}
	return nil
}
