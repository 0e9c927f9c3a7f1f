package keys_test

import (
	"errors"
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

// R16: what one id's prefix covers is never another's.
func TestR16NoPrefixOfOneOwnerCoversAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := keys.In("blocking")
		a := rapid.StringMatching(validID).Draw(t, "a")
		b := rapid.StringMatching(validID).Draw(t, "b")
		if a == b {
			return
		}
		if strings.HasPrefix(s.Mailbox(b).Entry(7), s.Mailbox(a).EntryPrefix()) {
			t.Fatalf("an audit of %q's mailbox lists %q's", a, b)
		}
		if s.Ack(a, b) == s.Ack(b, a) || s.Cursor(a) == s.Cursor(b) || s.Heartbeat(a) == s.Heartbeat(b) {
			t.Fatalf("%q and %q share a key", a, b)
		}
	})
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
