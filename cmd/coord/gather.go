package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

type gatherCmd struct {
	ID      string        `required:"" help:"The name to ask under: whoever gathers again under it goes on with the round."`
	Round   string        `required:"" help:"The name of the round, for one question."`
	To      []string      `required:"" help:"Whom to ask, separated by commas; they need not run yet."`
	Payload string        `placeholder:"TEXT|@FILE|-" help:"The question: text, a file's content, or stdin."`
	Until   string        `default:"all" help:"How many answers are enough: all, any, or a number."`
	OnDeath string        `default:"skip" placeholder:"POLICY" help:"When one is declared dead before it has replied: skip (go on without it), fail (end the round), or substitute=ID,... (ask the first ID in place of the first of --to, the second in place of the second, and from the first again where there are fewer; each once). Say the same in every slice."`
	Timeout time.Duration `default:"10m" help:"How long the round may take, from the first time that it is gathered. Exit code 0 means settled: whether there are enough answers says complete."`
	Slice   time.Duration `help:"Block for this long at most, and two seconds more if the store stops answering meanwhile: exit code 75 means that the round is still open; run the same again. So it does while the store does not answer, which is said; nothing is printed where nothing is known."`
}

// Validate is called by kong.
func (g *gatherCmd) Validate() error {
	err := errors.Join(checkID("--id", g.ID), checkID("--round", g.Round))
	if len(g.To) == 0 {
		err = errors.Join(err, errors.New("--to: whom to ask?"))
	}
	for i, id := range g.To {
		err = errors.Join(err, checkMember(id, g.To[:i]))
	}
	_, bad := g.until()
	_, wrong := g.policy()
	return errors.Join(err, bad, wrong)
}

// checkMember refuses what Gather would: by then another one who asks under that id has been superseded.
func checkMember(id string, before []string) error {
	if id == "" || slices.Contains(before, id) {
		return fmt.Errorf("--to: %q is empty or named twice", id)
	}
	return checkID("--to", id)
}

// policy is stable: it depends on what is said on the command line, not on who dies first.
func (g *gatherCmd) policy() (coord.DeathPolicy, error) {
	list, substitute := strings.CutPrefix(g.OnDeath, "substitute=")
	switch {
	case g.OnDeath == "skip", g.OnDeath == "":
		return coord.Skip(), nil
	case g.OnDeath == "fail":
		return coord.Fail(), nil
	case !substitute:
		return coord.Skip(), errors.New("--on-death: want skip, fail, or substitute=ID,...")
	}
	ids := strings.Split(list, ",")
	for _, id := range ids {
		if err := keys.CheckID(id); err != nil {
			return coord.Skip(), fmt.Errorf("--on-death: %w", err)
		}
	}
	return coord.Substitute(func(id string) string { return g.substitute(ids, id) }), nil
}

// substitute is who of ids stands in for id.
func (g *gatherCmd) substitute(ids []string, id string) string {
	if i := slices.Index(g.To, id); i >= 0 {
		return ids[i%len(ids)]
	}
	return "" // a substitute has none
}

func (g *gatherCmd) until() (coord.Condition, error) {
	switch g.Until {
	case "all", "":
		return coord.All(), nil
	case "any":
		return coord.Any(), nil
	}
	n, err := strconv.Atoi(g.Until)
	if err != nil || n < 1 {
		return nil, errors.New("--until: want all, any, or a number")
	}
	if n > len(g.To) {
		return nil, fmt.Errorf("--until: %d answers of %d members", n, len(g.To))
	}
	return coord.AtLeast(n), nil
}

// Run prints what there is, however it ends.
func (g *gatherCmd) Run(a *app) error {
	question, err := a.payload(g.Payload, envelope.MaxSize)
	if err != nil {
		return err
	}
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.close()
	t, stop := l.turn(g.Timeout, g.Slice)
	defer stop()
	me, err := t.joinAloud(g.ID)
	if err != nil {
		return err
	}
	return l.leave(me, g.gather(t, me, question))
}

func (g *gatherCmd) gather(t *turn, me *coord.Coordinator, question []byte) error {
	within, last, err := t.left(keys.In(t.app.Namespace).RoundBegan(g.ID, g.Round))
	if err != nil {
		return err
	}
	if !last {
		within -= min(lastLook, within/8) // for the last looks
	}
	enough, _ := g.until() // Validate has looked
	policy, _ := g.policy()
	r, err := coord.Gather[[]byte](t.app.ctx, me, g.Round, question,
		coord.To(g.To...), coord.Within(within), coord.Until(enough), coord.OnDeath(policy), coord.Encoding(asItIs{}))
	if r == nil || errors.Is(err, coord.ErrOtherQuestion) {
		return err
	}
	ended, verdict := g.verdict(r.Members(), err, last)
	return errors.Join(writeJSON(t.app.out, told(r, err == nil, ended)), verdict)
}

// verdict translates how the gathering ended.
func (g *gatherCmd) verdict(members []coord.Member, err error, last bool) (ended bool, _ error) {
	code := 0
	if errors.Is(err, coord.ErrTimeout) {
		code = codeOf(err)
	}
	switch {
	case err == nil, g.settled(members):
		return true, nil
	case !last && (code == exitTimeout || code == exitUnavailable):
		return false, &failure{code: exitWaiting, line: "the round is still open" + trouble(err), cause: err, bare: true}
	case code == exitTimeout:
		line := "timeout: the round is incomplete after " + human(g.Timeout)
		return true, &failure{code: exitTimeout, line: line, cause: err, bare: true}
	}
	return false, err // what has nothing to do with the members settles nothing
}

// settled: everybody has replied or is dead, or one who is dead ends the round.
func (g *gatherCmd) settled(members []coord.Member) bool {
	is := func(state coord.MemberState) bool {
		return slices.ContainsFunc(members, func(m coord.Member) bool { return m.State == state })
	}
	return !is(coord.MemberSilent) || g.OnDeath == "fail" && is(coord.MemberDead)
}

// trouble is what to say besides where the store is why nothing came.
func trouble(err error) string {
	if errors.Is(err, coord.ErrUnavailable) {
		return ": " + err.Error()
	}
	return ""
}

// roundSoFar is a round in JSON.
type roundSoFar struct {
	Event    string       `json:"event"`
	Round    string       `json:"round"`
	Settled  bool         `json:"settled"`  // running it again changes nothing
	Complete bool         `json:"complete"` // there are enough answers
	Members  []memberLine `json:"members"`
}

type memberLine struct {
	ID     string  `json:"id"`
	State  string  `json:"state"`
	Reason string  `json:"reason,omitempty"`
	For    string  `json:"replaces,omitempty"` // the dead one in whose place it is asked
	Answer *string `json:"answer,omitempty"`
	Base64 []byte  `json:"answerBase64,omitempty"`
}

func told(r *coord.Round[[]byte], complete, ended bool) roundSoFar {
	v := roundSoFar{Event: "round", Round: r.ID(), Settled: ended, Complete: complete}
	for _, m := range r.Members() {
		line := memberLine{ID: m.ID, State: string(m.State), Reason: m.Reason, For: m.Replaces}
		if m.State == coord.MemberSilent && !ended {
			line.State, line.Reason = string(coord.MemberOpen), ""
		}
		if answer, ok := r.Answer(m.ID); ok {
			if c := contentOf(answer); c.Base64 == nil {
				line.Answer = &c.Text
			} else {
				line.Base64 = c.Base64
			}
		}
		v.Members = append(v.Members, line)
	}
	return v
}

// asItIs is a codec for bytes.
type asItIs struct{}

func (asItIs) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no bytes", v)
	}
	return b, nil
}

func (asItIs) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no place for bytes", v)
	}
	*b = slices.Clone(data)
	return nil
}
