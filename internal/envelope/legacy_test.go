package envelope

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func legacySlot(t testing.TB, at time.Time) []byte {
	t.Helper()
	slot, err := AppendLegacy(nil, newTestRing(t, "blocking"), "coord-a", "coord-b", "wake", at)
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// TestLegacyDoesNotDependOnTheNamespace: the walkthrough signs with the secret itself.
func TestLegacyDoesNotDependOnTheNamespace(t *testing.T) {
	other := newTestRing(t, "other", Key{ID: "new", Secret: bytes.Repeat([]byte("n"), 32)}, Key{ID: "1", Secret: testSecret})
	s, err := OpenLegacy(other, "coord-b", legacySlot(t, testTime), testTime, false)
	if err != nil || s.Type != "wake" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLegacyAges(t *testing.T) {
	r := newTestRing(t, "blocking")
	for offset, want := range map[time.Duration]Reason{
		0: "", -24 * time.Hour: "", -24*time.Hour - time.Millisecond: Stale,
		5 * time.Minute: "", 5*time.Minute + time.Millisecond: Future,
	} {
		for _, allow := range []bool{false, true} {
			_, err := OpenLegacy(r, "coord-b", legacySlot(t, testTime.Add(offset)), testTime, allow)
			wantReason(t, err, want)
		}
	}
}

// TestLegacyForms lists what is taken with signatures demanded, and with unsigned ones allowed.
func TestLegacyForms(t *testing.T) {
	r := newTestRing(t, "blocking")
	good := string(legacySlot(t, testTime))
	sig := good[len(good)-66 : len(good)-2]
	unsigned := strings.Replace(good, `,"signature":"`+sig+`"`, "", 1)
	ms, sec := fmt.Sprint(testTime.UnixMilli()), fmt.Sprint(testTime.Unix())
	withSig := func(s string) string { return strings.Replace(good, sig, s, 1) }
	for name, c := range map[string]struct {
		slot            string
		demanded, asked Reason
	}{
		"good":               {good, "", ""},
		"spaced":             {strings.ReplaceAll(good, ",", " ,\n "), "", ""},
		"extra member":       {strings.Replace(good, "{", `{"note":"x",`, 1), "", ""},
		"unsigned":           {unsigned, Unsigned, ""},
		"null signature":     {strings.Replace(good, `"`+sig+`"`, "null", 1), Unsigned, ""},
		"seconds":            {strings.Replace(unsigned, ms, sec, 1), Unsigned, ""},
		"forged":             {withSig(strings.Repeat("0", 64)), Forged, Forged},
		"empty signature":    {withSig(""), Malformed, Malformed},
		"short signature":    {withSig(sig[:10]), Malformed, Malformed},
		"upper case":         {withSig(strings.ToUpper(sig)), Malformed, Malformed},
		"altered type":       {strings.Replace(good, "wake", "walk", 1), Forged, Forged},
		"altered time":       {strings.Replace(good, ms, ms[:12]+"9", 1), Forged, Forged},
		"signature a number": {strings.Replace(good, `"`+sig+`"`, "1", 1), Malformed, Malformed},
		"no time":            {strings.Replace(unsigned, `,"timestamp":`+ms, "", 1), Malformed, Malformed},
		"fraction":           {strings.Replace(unsigned, ms, ms+".5", 1), Malformed, Malformed},
		"time a string":      {strings.Replace(unsigned, ms, `"`+ms+`"`, 1), Malformed, Malformed},
		"nine digits":        {strings.Replace(unsigned, ms, sec[:9], 1), Unsigned, Stale},
		"colon":              {strings.Replace(unsigned, "coord-a", "coord:a", 1), Malformed, Malformed},
		"other receiver":     {strings.Replace(unsigned, "coord-b", "coord-c", 1), Unsigned, Misrouted},
		"no JSON":            {"wake", Malformed, Malformed},
		"null":               {"null", Malformed, Malformed},
		"large":              {strings.Replace(good, "{", "{"+strings.Repeat(" ", MaxSize), 1), TooLarge, TooLarge},
	} {
		_, demanded := OpenLegacy(r, "coord-b", []byte(c.slot), testTime, false)
		_, asked := OpenLegacy(r, "coord-b", []byte(c.slot), testTime, true)
		if wantReason(t, demanded, c.demanded); t.Failed() {
			t.Fatal(name)
		}
		if wantReason(t, asked, c.asked); t.Failed() {
			t.Fatal(name, "with unsigned allowed")
		}
	}
}

// TestLegacySignedSeconds: seconds are a matter of AllowUnsigned even where they are signed.
func TestLegacySignedSeconds(t *testing.T) {
	r := newTestRing(t, "blocking")
	slot := legacySlot(t, time.UnixMilli(testTime.Unix())) // the same digits
	_, err := OpenLegacy(r, "coord-b", slot, testTime, false)
	wantReason(t, err, Stale)
	s, err := OpenLegacy(r, "coord-b", slot, testTime, true)
	if err != nil || !s.Time.Equal(testTime.Truncate(time.Second)) {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestR10LegacyColonsCannotShift: the joined text of both is a:b:c:wake:<ms>.
func TestR10LegacyColonsCannotShift(t *testing.T) {
	r := newTestRing(t, "blocking")
	ms := testTime.UnixMilli()
	sig := r.keys[0].appendLegacySignature(nil, "a:b", "c", "wake", ms)
	for _, ids := range [][2]string{{"a:b", "c"}, {"a", "b:c"}} {
		slot := fmt.Sprintf(`{"senderId":%q,"receiverId":%q,"type":"wake","timestamp":%d,"signature":"%s"}`, ids[0], ids[1], ms, sig)
		for _, allow := range []bool{false, true} {
			_, err := OpenLegacy(r, ids[1], []byte(slot), testTime, allow)
			wantReason(t, err, Malformed)
		}
	}
	for _, ids := range [][3]string{{"a:b", "c", "d"}, {"a", "b:c", "d"}, {"a", "b", "c:d"}} {
		dst, err := AppendLegacy([]byte("dst"), r, ids[0], ids[1], ids[2], testTime)
		if wantReason(t, err, Malformed); string(dst) != "dst" {
			t.Error("dst was changed")
		}
	}
}

func TestLegacyIDIsStable(t *testing.T) {
	r := newTestRing(t, "blocking")
	slot := legacySlot(t, testTime)
	first, _ := OpenLegacy(r, "coord-b", slot, testTime, false)
	again, _ := OpenLegacy(r, "coord-b", slot, testTime.Add(time.Hour), false)
	other, _ := OpenLegacy(r, "coord-b", legacySlot(t, testTime.Add(time.Millisecond)), testTime, false)
	if first.ID != again.ID || first.ID == other.ID || !validID(first.ID) {
		t.Errorf("ids %s, %s, %s", first.ID, again.ID, other.ID)
	}
}

func TestLegacyAck(t *testing.T) {
	data, err := AppendLegacyAck(nil, "coord-a", testTime)
	if err != nil || string(data) != `{"receiverId":"coord-a","timestamp":1766000000123}` {
		t.Errorf("%s, %v", data, err)
	}
	if got, err := OpenLegacyAck("coord-a", data); err != nil || !got.Equal(testTime) {
		t.Errorf("%v, %v", got, err)
	}
	for raw, want := range map[string]Reason{
		`{"receiverId":"coord-b","timestamp":1}`: Misrouted, `{"receiverId":"coord-a"}`: Malformed, "": Malformed,
		`null`: Malformed, `{"receiverId":"coord-a","timestamp":"1"}`: Malformed, strings.Repeat(" ", MaxSize+1): TooLarge,
	} {
		_, err := OpenLegacyAck("coord-a", []byte(raw))
		wantReason(t, err, want)
	}
	_, err = AppendLegacyAck(nil, "a:b", testTime)
	wantReason(t, err, Malformed)
}

// strict is what R12 demands of an opener: milliseconds, signed; it returns what is wrong.
func strict(t *testing.T, open func(slot []byte) (*Signal, error)) (wrong []string) {
	t.Helper()
	good := string(legacySlot(t, testTime))
	ms, sec := fmt.Sprint(testTime.UnixMilli()), fmt.Sprint(testTime.Unix())
	unsigned := good[:strings.Index(good, `,"signature"`)] + "}"
	inSeconds, err := AppendLegacy(nil, newTestRing(t, "blocking"), "coord-a", "coord-b", "wake", time.UnixMilli(testTime.Unix()))
	if err != nil || !strings.Contains(string(inSeconds), sec) {
		t.Fatalf("%s, %v", inSeconds, err)
	}
	for name, slot := range map[string]string{
		"unsigned": unsigned, "unsigned, in seconds": strings.Replace(unsigned, ms, sec, 1), "in seconds": string(inSeconds),
	} {
		if _, err := open([]byte(slot)); err == nil {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

// TestR12 holds the opener to it, and finds out the one that takes what the walkthrough's demos write.
func TestR12MillisecondsAndSigned(t *testing.T) {
	r := newTestRing(t, "blocking")
	opener := func(lenient bool) func([]byte) (*Signal, error) {
		return func(slot []byte) (*Signal, error) { return OpenLegacy(r, "coord-b", slot, testTime, lenient) }
	}
	if wrong := strict(t, opener(false)); wrong != nil {
		t.Errorf("taken: %q", wrong)
	}
	if wrong := strict(t, opener(true)); len(wrong) != 3 {
		t.Errorf("of the lenient one only this is found: %q", wrong)
	}
	t.Log("counted 1 mutants")
}
