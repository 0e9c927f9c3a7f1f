package envelope

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const idPattern = `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`

func drawTime(t *rapid.T) time.Time {
	return time.UnixMilli(rapid.Int64Range(-1<<40, 1<<50).Draw(t, "ms")).UTC()
}

// drawBytes draws nil, text or rubbish.
func drawBytes(t *rapid.T, label string) []byte {
	b := rapid.OneOf(
		rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 1, 200),
		rapid.Map(rapid.StringN(1, 200, -1), func(s string) []byte { return []byte(s) }),
	).Draw(t, label)
	return b
}

func drawSignal(t *rapid.T) *Signal {
	id, free := rapid.StringMatching(idPattern), rapid.StringN(0, 40, -1)
	return &Signal{
		ID: id.Draw(t, "id"), Sender: id.Draw(t, "sender"), Receiver: id.Draw(t, "receiver"), Type: id.Draw(t, "type"),
		Time: drawTime(t), Incarnation: rapid.Int64().Draw(t, "incarnation"), Session: free.Draw(t, "session"),
		Seq: rapid.Uint64().Draw(t, "seq"), Round: free.Draw(t, "round"), ReplyTo: free.Draw(t, "replyTo"),
		To:    Instance{rapid.Int64().Draw(t, "to"), free.Draw(t, "to.session")},
		Trace: free.Draw(t, "trace"), Payload: drawBytes(t, "payload"),
	}
}

func drawAck(t *rapid.T) *Ack {
	id, free := rapid.StringMatching(idPattern), rapid.StringN(0, 40, -1)
	return &Ack{
		SignalID: id.Draw(t, "signalId"), Digest: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "digest"),
		Sender: id.Draw(t, "sender"), Receiver: id.Draw(t, "receiver"), Incarnation: rapid.Int64().Draw(t, "incarnation"),
		Session: free.Draw(t, "session"), Time: drawTime(t), Rejected: rapid.Bool().Draw(t, "rejected"),
		Reason: free.Draw(t, "reason"), Result: drawBytes(t, "result"),
	}
}

func TestEveryRecordComesBackAsItWas(t *testing.T) {
	r := newTestRing(t, "blocking")
	rapid.Check(t, func(t *rapid.T) {
		s, a := drawSignal(t), drawAck(t)
		data, err := AppendSignal(nil, r, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenSignal(r, s.Receiver, data); err != nil || !reflect.DeepEqual(got, s) || Digest(got) != Digest(s) {
			t.Fatalf("signal: %+v, %v; want %+v", got, err, s)
		}
		if data, err = AppendAck(nil, r, a); err != nil {
			t.Fatal(err)
		}
		if got, err := OpenAck(r, a.Sender, a.SignalID, data); err != nil || !reflect.DeepEqual(got, a) {
			t.Fatalf("ack: %+v, %v; want %+v", got, err, a)
		}
	})
}

// TestS3NoByteCanBeChanged flips every bit of every byte, cuts at every length and inserts at every place.
func TestS3NoByteCanBeChanged(t *testing.T) {
	r := newTestRing(t, "blocking")
	s := testSignal()
	s.Payload = []byte("p")
	good := seal(t, r, s)
	opens := func(data []byte) bool {
		_, err1 := OpenSignal(r, "coord-b", data)
		_, err2 := r.Open(KindSignal, data, "coord-b") // which has no decoder behind it to refuse the rest
		return err1 == nil || err2 == nil
	}
	if !opens(good) {
		t.Fatal("the record does not open as it is")
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			if bad[i] ^= 1 << bit; opens(bad) {
				t.Errorf("opens with bit %d of byte %d flipped: %s", bit, i, bad)
			}
		}
		if opens(good[:i]) || opens(good[i+1:]) {
			t.Errorf("opens when it is cut at %d", i)
		}
		for _, c := range []byte(" ,\"a0}") {
			if opens(slices.Insert(bytes.Clone(good), i, c)) {
				t.Errorf("opens with %q inserted at %d", c, i)
			}
		}
	}
}

// TestS3NoSpliceOpens joins the front of one true record to the back of another, and repeats parts.
func TestS3NoSpliceOpens(t *testing.T) {
	r := newTestRing(t, "blocking")
	rapid.Check(t, func(t *rapid.T) {
		s, u := drawSignal(t), drawSignal(t)
		u.Receiver = s.Receiver
		a, err1 := AppendSignal(nil, r, s)
		b, err2 := AppendSignal(nil, r, u)
		if err1 != nil || err2 != nil {
			t.Skip()
		}
		i, j := rapid.IntRange(0, len(a)).Draw(t, "i"), rapid.IntRange(0, len(b)).Draw(t, "j")
		spliced := slices.Concat(a[:i], b[j:])
		if bytes.Equal(spliced, a) || bytes.Equal(spliced, b) {
			t.Skip()
		}
		if got, err := OpenSignal(r, s.Receiver, spliced); err == nil {
			t.Fatalf("%s opens as %+v", spliced, got)
		}
	})
}

// TestS3RecordsOpenInTheirPlaceOnly: another kind, place, namespace or key never opens a record.
func TestS3RecordsOpenInTheirPlaceOnly(t *testing.T) {
	type setting struct {
		namespace string
		secret    string
		kind      Kind
		place     []string
	}
	draw := rapid.Custom(func(t *rapid.T) setting {
		part := rapid.SampledFrom([]string{"", "a", "b", "a:b", ":", "ab"})
		return setting{
			namespace: part.Draw(t, "namespace"), secret: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "secret"),
			kind:  rapid.SampledFrom([]Kind{KindSignal, KindAck, KindVote, KindDecision, KindUnit}).Draw(t, "kind"),
			place: rapid.SliceOfN(part, 1, 3).Draw(t, "place"),
		}
	})
	ring := func(s setting) *Ring {
		r, _ := NewRing(s.namespace, Key{Secret: bytes.Repeat([]byte(s.secret), 32)})
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		from, to := draw.Draw(t, "from"), draw.Draw(t, "to")
		if rapid.Bool().Draw(t, "only the place differs") {
			to.namespace, to.secret, to.kind = from.namespace, from.secret, from.kind
		}
		data := ring(from).Seal(nil, from.kind, []byte(`{"a":1}`), from.place...)
		_, err := ring(to).Open(to.kind, data, to.place...)
		if same := reflect.DeepEqual(from, to); same != (err == nil) {
			t.Fatalf("sealed in %+v, opened in %+v: %v", from, to, err)
		}
	})
}

// content is a signal with these fields.
func content(f []string) *Signal {
	return &Signal{ID: f[0], Sender: f[1], Receiver: f[2], Type: f[3], Round: f[4], Payload: []byte(f[5])}
}

// collision draws two contents that differ in little, and reports whether a digest takes one for the other.
func collision(t *rapid.T, digest func(*Signal) string) (a, b *Signal, collide bool) {
	part := rapid.SampledFrom([]string{"", "a", "b", "ab", "a:b", ":"})
	f := rapid.SliceOfN(part, 6, 6).Draw(t, "fields")
	g, at := slices.Clone(f), rapid.IntRange(0, 5).Draw(t, "field")
	if at < 5 && rapid.Bool().Draw(t, "moved to the next") {
		both := f[at] + ":" + f[at+1]
		i := rapid.IntRange(0, len(both)).Draw(t, "split")
		g[at], g[at+1] = both[:i], strings.TrimPrefix(both[i:], ":")
	} else {
		g[at] = part.Draw(t, "other")
	}
	a, b = content(f), content(g)
	return a, b, slices.Equal(f, g) != (digest(a) == digest(b))
}

// TestR10DigestsDoNotCollide: no two contents share a digest, whatever is moved between their fields.
func TestR10DigestsDoNotCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if a, b, collide := collision(t, Digest); collide {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// TestR10IsFoundOut: fields joined by colons, and a payload that is not covered.
func TestR10IsFoundOut(t *testing.T) {
	joined := func(s *Signal) string {
		return strings.Join([]string{s.Sender, s.Receiver, s.ID, s.Type, s.Round, string(s.Payload)}, ":")
	}
	uncovered := func(s *Signal) string {
		c := *s
		c.Payload = nil
		return Digest(&c)
	}
	for name, digest := range map[string]func(*Signal) string{"joined": joined, "the payload is not covered": uncovered} {
		t.Run(name, func(t *testing.T) {
			drawn := rapid.Custom(func(t *rapid.T) bool { _, _, collide := collision(t, digest); return collide })
			for seed := range 100 {
				if drawn.Example(seed) {
					t.Logf("counted 1 mutants, in check %d", seed+1)
					return
				}
			}
			t.Error("not found")
		})
	}
}
