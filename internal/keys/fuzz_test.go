package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/blocking-coordination/coord/internal/keys"
)

// all is every key that is built from one id, or from two, and a number, by what it is for.
func all(s keys.Space, a, b string, n int64) map[string]string {
	m := map[string]string{}
	log := func(of string, l keys.Log) {
		m[of+" tail"], m[of+" entry"], m[of+" skip"] = l.Tail, l.Entry(n), l.Skip(n)
	}
	agreement := func(of string, d keys.Decide) {
		m[of+" counter"], m[of+" vote"], m[of+" decision"] = d.Counter(), d.Vote(n), d.Decision()
	}
	log("members", s.Members())
	log("mailbox "+a, s.Mailbox(a))
	log("intents "+a, s.Intents(a, n))
	log("open", s.Open())
	log("deadlines", s.Deadlines())
	agreement("dead "+a, s.Dead(a, n))
	agreement("epoch "+a, s.Epoch(a, n))
	agreement("round "+a+" "+b, s.Round(a, b))
	agreement("began "+a+" "+b, s.RoundBegan(a, b))
	m["generation"], m["late"] = s.Generation(), s.Late()
	m["incarnation "+a], m["heartbeat "+a], m["cursor "+a] = s.Incarnation(a), s.Heartbeat(a), s.Cursor(a)
	m["ack "+a+" "+b], m["channel "+a] = s.Ack(a, b), s.Channel(a)
	m["legacy signal "+a], m["legacy ack "+a], m["legacy seen "+a+" "+b] = s.LegacySignal(a), s.LegacyAck(a), s.LegacySeen(a, b)
	m["warning "+a] = s.Warning(a, n, uint64(n), 1)
	m["handled "+a], m["unit "+a+" "+b] = s.Handled(a, n), s.Unit(a, b)
	m["progress "+a], m["checkpoint "+a] = s.Progress(a, n), s.Checkpoint(a, n, n)
	return m
}

// FuzzKeys: no two things share a key, whatever the ids, and every key is of its namespace.
func FuzzKeys(f *testing.F) {
	f.Add("a", "b", int64(1))
	f.Add("tail", "entry", int64(7))
	f.Add("1", "11", int64(1))
	f.Add("a.b", "a", int64(1<<62))
	f.Add("began", "decision", int64(0))
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		if !keys.Valid(a) || !keys.Valid(b) || n < 0 {
			t.Skip()
		}
		owner := map[string]string{}
		for _, m := range []map[string]string{
			all(keys.In("blocking"), a, b, n), all(keys.In("blocking"), b, a, n), all(keys.In("other"), a, b, n),
		} {
			for of, key := range m {
				space, _, _ := strings.Cut(key, ":")
				if of = space + " " + of; owner[key] != "" && owner[key] != of {
					t.Fatalf("%q is the key of %s and of %s", key, owner[key], of)
				}
				owner[key] = of
			}
		}
	})
}

// FuzzInverses: what is read out of a key or of a name builds that key or name again.
func FuzzInverses(f *testing.F) {
	l := keys.In("blocking").Mailbox("b")
	for _, s := range []string{l.Tail, l.Entry(1), l.Entry(1) + "0", l.EntryPrefix() + "01", l.EntryPrefix() + "+1", "a/1", "a/b/1", "a/01", "/1", "1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := l.Ticket(s); ok && l.Entry(n) != s {
			t.Fatalf("%q is ticket %d, whose entry is %q", s, n, l.Entry(n))
		}
		id, incarnation := keys.OfIndexed(s)
		if again, same := keys.OfIndexed(keys.Indexed(id, incarnation)); id != "" && (again != id || same != incarnation) {
			t.Fatalf("%q is %s, which is %q", s, fmt.Sprint(id, incarnation), keys.Indexed(id, incarnation))
		}
	})
}
