package agree

import (
	"context"
	"strconv"
	"testing"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/store"
)

// steps are the steps of run, each of which a mutant replaces.
type steps struct {
	early    func(attempt) ([]byte, bool, error)
	ticket   func(attempt) (int64, error)
	adopt    func(attempt, int64, []byte) ([]byte, error)
	vote     func(attempt, int64, []byte) error
	newest   func(attempt, int64) error
	recheck  func(attempt) ([]byte, bool, error)
	decide   func(attempt, []byte) error
	askFirst bool // whether the ticket is the newest is asked before the vote
}

func allSteps() steps {
	return steps{attempt.decision, attempt.ticket, attempt.adopt, attempt.vote, attempt.newest, attempt.decision, attempt.decide, false}
}

// run is the procedure again, made of steps that can be replaced. TestTheStepsAreTheProcedure shows that it is the same.
func (s steps) run(a attempt, v []byte) ([]byte, error) {
	if d, found, err := s.early(a); found || err != nil {
		return d, err
	}
	r, err := s.ticket(a)
	if err != nil {
		return nil, err
	}
	x, err := s.adopt(a, r, v)
	if err != nil {
		return nil, err
	}
	first, second := func() error { return s.vote(a, r, x) }, func() error { return s.newest(a, r) }
	if s.askFirst {
		first, second = second, first
	}
	if err := first(); err != nil {
		return nil, err
	}
	if err := second(); err != nil {
		return nil, err
	}
	if d, found, err := s.recheck(a); found || err != nil {
		return d, err
	}
	return x, s.decide(a, x)
}

func lowestFirst(a attempt, r int64, v []byte) ([]byte, error) {
	for j := int64(1); j < r; j++ {
		if x, found, err := a.highest(j, j); found || err != nil {
			return x, err
		}
	}
	return v, nil
}

// sameTicket takes the counter's reading for its ticket after a lost answer.
func sameTicket(a attempt) (int64, error) {
	r, err := a.ticket()
	if err == nil || store.Permanent(err) {
		return r, err
	}
	data, err := a.s.Get(a.ctx, counterKey)
	if err != nil {
		return 0, err
	}
	r, _ = strconv.ParseInt(string(data), 10, 64)
	if r == 0 {
		return 0, errLost
	}
	return r, nil
}

// adoptReadable takes a vote that it could not read for an absent one.
func adoptReadable(a attempt, r int64, v []byte) ([]byte, error) {
	for j := r - 1; j >= 1; j-- {
		if x, found, _ := a.highest(j, j); found {
			return x, nil
		}
	}
	return v, nil
}

// adoptNearest looks one ticket back only.
func adoptNearest(a attempt, r int64, v []byte) ([]byte, error) {
	if r == 1 {
		return v, nil
	}
	if x, found, err := a.highest(r-1, r-1); found || err != nil {
		return x, err
	}
	return v, nil
}

// incrAlone is "Incr == 1": the first decides, the others wait for the decision.
func incrAlone(a attempt, v []byte) ([]byte, error) {
	if d, found, err := a.decision(); found || err != nil {
		return d, err
	}
	r, err := a.ticket()
	if err != nil {
		return nil, err
	}
	if r != 1 {
		return nil, ErrAgain
	}
	return v, a.decide(v)
}

func cleanEarly(ctx context.Context, s store.Store, n Names, c Codec) error {
	return attempt{ctx: ctx, s: s, n: n, c: c}.clean()
}

func with(change func(*steps)) procedures {
	s := allSteps()
	change(&s)
	return procedures{s.run, Clean}
}

func TestMutants(t *testing.T) {
	absent := func(attempt) ([]byte, bool, error) { return nil, false, nil }
	mutants := []struct {
		name string
		p    procedures
	}{
		{"the counter is not read again", with(func(s *steps) { s.newest = func(attempt, int64) error { return nil } })},
		{"lower votes are not adopted", with(func(s *steps) {
			s.adopt = func(_ attempt, _ int64, v []byte) ([]byte, error) { return v, nil }
		})},
		{"the lowest vote is adopted", with(func(s *steps) { s.adopt = lowestFirst })},
		{"only the vote before is adopted", with(func(s *steps) { s.adopt = adoptNearest })},
		{"a vote that was not read counts as absent", with(func(s *steps) { s.adopt = adoptReadable })},
		{"the ticket is kept after a lost answer to the vote", with(func(s *steps) {
			s.vote = func(a attempt, r int64, x []byte) error { _ = a.vote(r, x); return nil }
		})},
		{"the ticket is guessed after a lost answer to Incr", with(func(s *steps) { s.ticket = sameTicket })},
		{"no vote", with(func(s *steps) { s.vote = func(attempt, int64, []byte) error { return nil } })},
		{"the counter is read before the vote", with(func(s *steps) { s.askFirst = true })},
		{"the decision is not read again", with(func(s *steps) { s.recheck = absent })},
		{"the decision is not confirmed", with(func(s *steps) {
			s.decide = func(a attempt, x []byte) error { _ = a.decide(x); return nil }
		})},
		{"Incr == 1 alone", procedures{incrAlone, Clean}},
		{"cleaning before the decision is visible", procedures{run, cleanEarly}},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Log(found(t, m.p))
			t.Log("counted 1 mutants")
			if proof.Slow == 1 && !stumblesOn(m.p) {
				t.Error("not found by walking")
			}
		})
	}
}

func stumblesOn(p procedures) bool {
	for seed := range uint64(walks) {
		if walk(p, seeded(seed).Choose) != "" {
			return true
		}
	}
	return false
}

// found returns how the small scopes find a mutant out.
func found(t *testing.T, p procedures) string {
	for _, sc := range smallScopes {
		e := newExplorer(sc, p)
		if wrong, _ := e.explore(1 << 24); wrong != "" {
			return wrong
		}
	}
	t.Fatal("survived")
	return ""
}

// What the mutants are made of is the real procedure, choice by choice.
func TestTheStepsAreTheProcedure(t *testing.T) {
	count := func(p procedures) (states, runs int) {
		e := newExplorer(smallScopes[3], p)
		if wrong, _ := e.explore(1 << 24); wrong != "" {
			t.Fatal(wrong)
		}
		return len(e.seen), e.runs
	}
	states, runs := count(real)
	if s, r := count(procedures{allSteps().run, Clean}); s != states || r != runs {
		t.Errorf("%d states in %d runs, want %d in %d", s, r, states, runs)
	}
}
