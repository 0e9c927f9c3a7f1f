package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/blocking-coordination/coord/internal/keys"
	"pgregory.net/rapid"
)

const validID = `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", "coord-a", "A.b_c-9", strings.Repeat("x", 128)} {
		if err := keys.CheckID(id); err != nil {
			t.Errorf("CheckID(%q) = %v", id, err)
		}
	}
	for _, id := range []string{"", "-a", ".a", "a:b", "a*", "a{b}", "a b", "ä", "a\n", "a\x00", strings.Repeat("x", 129)} {
		if err := keys.CheckID(id); !errors.Is(err, keys.ErrInvalidID) {
			t.Errorf("CheckID(%q) = %v, want ErrInvalidID", id, err)
		}
	}
}

// scheme is how an audit finds the keys of one id.
type scheme struct {
	prefix func(id string) string
	key    func(id string, n int64) string
}

var schemes = map[string]scheme{
	"mailbox": {
		func(id string) string { return keys.In("blocking").Mailbox(id).EntryPrefix() },
		func(id string, n int64) string { return keys.In("blocking").Mailbox(id).Entry(n) },
	},
	"intents": {
		func(id string) string { return keys.In("blocking").Intents(id, 1).EntryPrefix() },
		func(id string, n int64) string { return keys.In("blocking").Intents(id, 1).Entry(n) },
	},
}

// covered returns two ids of which the audit of one lists a key of the other.
func (s scheme) covered(t *rapid.T) (a, b string, covers bool) {
	a = rapid.StringMatching(validID).Draw(t, "a")
	b = rapid.OneOf(rapid.StringMatching(validID), rapid.Just(a+"1")).Draw(t, "b")
	return a, b, a != b && strings.HasPrefix(s.key(b, 7), s.prefix(a))
}

// R16: what one id's prefix covers is never another's.
func TestR16NoPrefixOfOneOwnerCoversAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for name, s := range schemes {
			if a, b, covers := s.covered(t); covers {
				t.Fatalf("an audit of %q's %s lists %q's", a, name, b)
			}
		}
	})
}

// The walkthrough's "work:a*" is a prefix of another's keys.
func TestR16IsFoundOut(t *testing.T) {
	walkthrough := scheme{
		func(id string) string { return "blocking:work:" + id },
		func(id string, n int64) string { return fmt.Sprint("blocking:work:", id, ":", n) },
	}
	drawn := rapid.Custom(func(t *rapid.T) bool { _, _, covers := walkthrough.covered(t); return covers })
	for seed := range 100 {
		if drawn.Example(seed) {
			t.Log("counted 1 mutants")
			return
		}
	}
	t.Error("not found")
}

func TestTicketIsTheInverseOfEntry(t *testing.T) {
	l := keys.In("blocking").Mailbox("b")
	if n, ok := l.Ticket(l.Entry(42)); !ok || n != 42 {
		t.Fatalf("Ticket(Entry(42)) = %d, %v", n, ok)
	}
	for _, key := range []string{l.Tail, l.Skip(1), l.EntryPrefix(), l.EntryPrefix() + "x", l.EntryPrefix() + "-1", l.EntryPrefix() + "01"} {
		if n, ok := l.Ticket(key); ok {
			t.Errorf("Ticket(%q) = %d", key, n)
		}
	}
}

// A question's id is valid whatever it is made of, and nobody else's.
func TestQuestionsOfTheirOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(validID)
		a, r, m := id.Draw(t, "asker"), id.Draw(t, "round"), id.Draw(t, "member")
		question := keys.In("blocking").Question(a, r, m)
		if err := keys.CheckID(question); err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{
			keys.In("other").Question(a, r, m), keys.In("blocking").Question(a+r[:1], r, m),
			keys.In("blocking").Question(a, r+m[:1], m), keys.In("blocking").Question(a, r, m+"x"),
		} {
			if question == other {
				t.Fatalf("two questions are %s", other)
			}
		}
	})
}

func FuzzCheckID(f *testing.F) {
	for _, s := range []string{"coord-a", "", "a:b", "-x", "a\xff", strings.Repeat("9", 129)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if keys.CheckID(s) == nil && (len(s) == 0 || len(s) > keys.MaxID || strings.ContainsAny(s, ":{}*?[]\\ /")) {
			t.Fatalf("accepted %q", s)
		}
	})
}
