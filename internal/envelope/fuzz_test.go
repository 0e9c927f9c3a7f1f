package envelope

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// sealable reports whether data has the outline that Seal demands.
func sealable(data []byte) bool {
	return len(data) >= len(`{"":0}`) && data[0] == '{' && data[len(data)-1] == '}'
}

func FuzzOpenSignal(f *testing.F) {
	r := newTestRing(f, "blocking")
	good := seal(f, r, testSignal())
	f.Add(good)
	f.Add(good[:len(good)-80])
	f.Add(good[len(good)-80:])
	f.Add(append(bytes.Clone(good[:bytes.LastIndex(good, []byte(kidOpen))]), '}'))
	f.Add([]byte(`{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":1766000000}`))
	for _, odd := range oddities {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tryOpenSignal(t, r, data)
		if sealable(data) { // what a careless key holder might write: nobody else gets this far
			tryOpenSignal(t, r, r.Seal(nil, KindSignal, data, "coord-b"))
		}
	})
}

func tryOpenSignal(t *testing.T, r *Ring, data []byte) {
	t.Helper()
	before := bytes.Clone(data)
	s, err := OpenSignal(r, "coord-b", data)
	if !bytes.Equal(data, before) || (err == nil) != (s != nil) || (err != nil) != (ReasonOf(err) != "") {
		t.Fatalf("%q: %+v, %v", data, s, err)
	}
	if s != nil {
		again, err := AppendSignal(nil, r, s)
		wantSame(t, s, again, err, func(data []byte) (*Signal, error) { return OpenSignal(r, "coord-b", data) })
		wantNothingUnsigned(t, r, data)
		wantNowhereElse(t, data, KindSignal, "coord-b")
	}
}

// wantSame: whatever opens obeys the rules of what may be sealed, and comes back as it was.
func wantSame[T any](t *testing.T, v *T, sealed []byte, err error, open func([]byte) (*T, error)) {
	t.Helper()
	if ReasonOf(err) == TooLarge {
		return // others write it shorter than we do
	}
	if err != nil {
		t.Fatalf("%+v opens, but does not seal: %v", v, err)
	}
	if again, err := open(sealed); err != nil || !reflect.DeepEqual(again, v) {
		t.Fatalf("%+v is sealed as %s, which opens as %+v, %v", v, sealed, again, err)
	}
}

// wantNowhereElse: what opens as that kind in that place does not open as another, in another, or in another namespace.
func wantNowhereElse(t *testing.T, data []byte, kind Kind, place ...string) {
	t.Helper()
	r, other := newTestRing(t, "blocking"), newTestRing(t, "other")
	if _, err := r.Open(kind, data, place...); err != nil {
		t.Fatalf("%q opens as a %s only where it is decoded: %v", data, kind, err)
	}
	for _, k := range []Kind{KindSignal, KindAck, KindHeartbeat, KindMember, KindCursor, KindDecision} {
		if _, err := r.Open(k, data, place...); err == nil && k != kind {
			t.Fatalf("%q opens as a %s and as a %s", data, kind, k)
		}
	}
	for _, p := range [][]string{{}, {"coord-x"}, append(place[:len(place):len(place)], ""), {strings.Join(place, "") + "x"}} {
		if _, err := r.Open(kind, data, p...); err == nil {
			t.Fatalf("%q opens in %q and in %q", data, place, p)
		}
	}
	if _, err := other.Open(kind, data, place...); err == nil {
		t.Fatalf("%q opens in another namespace", data)
	}
}

// wantNothingUnsigned seals data's own body again: it opened only if it is what a key holder writes.
func wantNothingUnsigned(t *testing.T, r *Ring, data []byte) {
	t.Helper()
	i := bytes.LastIndex(data, []byte(kidOpen))
	if again := r.Seal(nil, KindSignal, append(bytes.Clone(data[:i]), '}'), "coord-b"); !bytes.Equal(again, data) {
		t.Fatalf("%q opens, but a key holder writes %q", data, again)
	}
}

func FuzzOpenAck(f *testing.F) {
	r := newTestRing(f, "blocking")
	good := sealAck(f, r, testAck())
	f.Add(good)
	f.Add(good[:len(good)-80])
	f.Add([]byte(`{"receiverId":"coord-a","timestamp":1766000000123}`))
	for _, odd := range oddities {
		f.Add([]byte(odd))
	}
	f.Add(append(bytes.Clone(good[:bytes.LastIndex(good, []byte(kidOpen))]), '}'))
	f.Fuzz(func(t *testing.T, data []byte) {
		tryOpenAck(t, r, data)
		if sealable(data) {
			tryOpenAck(t, r, r.Seal(nil, KindAck, data, "coord-a", "s-1"))
		}
	})
}

func tryOpenAck(t *testing.T, r *Ring, data []byte) {
	t.Helper()
	a, err := OpenAck(r, "coord-a", "s-1", data)
	if (err == nil) != (a != nil) || (err != nil) != (ReasonOf(err) != "") {
		t.Fatalf("%q: %+v, %v", data, a, err)
	}
	if a == nil {
		return
	}
	again, err := AppendAck(nil, r, a)
	wantSame(t, a, again, err, func(data []byte) (*Ack, error) { return OpenAck(r, "coord-a", "s-1", data) })
	wantNowhereElse(t, data, KindAck, "coord-a", "s-1")
}

// FuzzDecodeEqualsJSON holds the decoders without reflection to encoding/json, and the encoder to both.
func FuzzDecodeEqualsJSON(f *testing.F) {
	r := newTestRing(f, "blocking")
	f.Add(seal(f, r, testSignal()))
	f.Add(sealAck(f, r, testAck()))
	for _, odd := range oddities {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAsJSON(t, data, fastSignal)
		sameAsJSON(t, data, fastAck)
		sameAsJSON(t, data, fastHeartbeat)
		var s string
		if valid, bad := forms(data); bad == nil {
			if err := json.Unmarshal(appendString(nil, string(valid)), &s); err != nil || s != string(data) {
				t.Fatalf("%q is written %s: %v", data, appendString(nil, string(valid)), err)
			}
		}
	})
}

func FuzzLegacy(f *testing.F) {
	r := newTestRing(f, "blocking")
	good := legacySlot(f, testTime)
	f.Add(good, false)
	f.Add(good[:len(good)-80], true)
	f.Add([]byte(`{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":1766000000}`), true)
	f.Add([]byte(`{"senderId":"a:b","receiverId":"coord-b","type":"wake","timestamp":1766000000123}`), true)
	f.Fuzz(func(t *testing.T, data []byte, allowUnsigned bool) {
		s, err := OpenLegacy(r, "coord-b", data, testTime, allowUnsigned)
		if (err == nil) != (s != nil) || (err != nil) != (ReasonOf(err) != "") {
			t.Fatalf("%q: %+v, %v", data, s, err)
		}
		if s == nil {
			return
		}
		if !validID(s.ID) || s.Receiver != "coord-b" || CheckTime(s.Time, testTime, LegacyMaxAge, LegacyMaxAhead) != nil {
			t.Fatalf("%q opens as %+v", data, s)
		}
		again, err := AppendLegacy(nil, r, s.Sender, s.Receiver, s.Type, s.Time)
		if err != nil || !allowUnsigned && !bytes.Contains(data, again[len(again)-66:len(again)-2]) {
			t.Fatalf("%q opens, but its signature should be in %q", data, again)
		}
	})
}
