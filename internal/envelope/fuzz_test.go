package envelope

import (
	"bytes"
	"encoding/json"
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
		wantResealable(t, r, s)
		wantNothingUnsigned(t, r, data)
	}
}

// wantResealable: whatever opens obeys the rules of what may be sealed.
func wantResealable(t *testing.T, r *Ring, s *Signal) {
	t.Helper()
	if _, err := AppendSignal(nil, r, s); err != nil && ReasonOf(err) != TooLarge {
		t.Fatalf("%+v opens, but does not seal: %v", s, err)
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
	if _, err := AppendAck(nil, r, a); err != nil && ReasonOf(err) != TooLarge {
		t.Fatalf("%+v opens, but does not seal: %v", a, err)
	}
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
