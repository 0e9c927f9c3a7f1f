package envelope

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOpenReturnsTheObjectWithoutTheSignature(t *testing.T) {
	r := newTestRing(t, "blocking")
	data := r.Seal([]byte("dst"), KindUnit, []byte(`{ "a": 1 }`), "w", "1")[3:]
	before := bytes.Clone(data)
	body, err := r.Open(KindUnit, data, "w", "1")
	if err != nil || string(body) != `{ "a": 1 ,"kid":"1"}` {
		t.Errorf("Open = %s, %v", body, err)
	}
	if clear(body[:cap(body)]); !bytes.Equal(data, before) {
		t.Error("Open's result shares memory with its data")
	}
}

func TestSealPanicsOnWhatIsNoObject(t *testing.T) {
	r := newTestRing(t, "blocking")
	for _, body := range []string{"", "{}", "[1,2,3]", `{"a":1}` + "\n", "null"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Seal takes %q", body)
				}
			}()
			r.Seal(nil, KindUnit, []byte(body))
		}()
	}
}

func TestOpenRefuses(t *testing.T) {
	r := newTestRing(t, "blocking")
	good := string(seal(t, r, testSignal()))
	sig := good[len(good)-66 : len(good)-2]
	for name, c := range map[string]struct {
		data string
		want Reason
	}{
		"empty":            {"", Malformed},
		"null":             {"null", Malformed},
		"array":            {"[]", Malformed},
		"poison":           {"\x00\xff{", Malformed},
		"empty object":     {"{}", Unsigned},
		"unsigned":         {strings.Replace(good, `,"signature":"`+sig+`"`, "", 1), Unsigned},
		"short signature":  {strings.Replace(good, sig, sig[:62], 1), Malformed},
		"long signature":   {strings.Replace(good, sig, sig+"00", 1), Malformed},
		"no hex":           {strings.Replace(good, sig, "zz"+sig[2:], 1), Malformed},
		"empty signature":  {strings.Replace(good, sig, "", 1), Malformed},
		"upper case":       {strings.Replace(good, sig, strings.ToUpper(sig), 1), Malformed},
		"zeros":            {strings.Replace(good, sig, strings.Repeat("0", 64), 1), Forged},
		"no kid":           {strings.Replace(good, `,"kid":"1"`, "", 1), Malformed},
		"empty kid":        {strings.Replace(good, `"kid":"1"`, `"kid":""`, 1), Malformed},
		"other kid":        {strings.Replace(good, `"kid":"1"`, `"kid":"2"`, 1), UnknownKey},
		"kid with a quote": {strings.Replace(good, `"kid":"1"`, `"kid":"\"1"`, 1), Malformed},
		"space before":     {" " + good, Forged},
		"space behind":     {good + " ", Malformed},
		"space between":    {strings.Replace(good, `,"signature"`, ` ,"signature"`, 1), Malformed},
		"member behind":    {good[:len(good)-1] + `,"type":"decide"}`, Malformed},
		"another object":   {good + good, Forged},
		"the tail alone":   {good[len(good)-80:], Malformed},
	} {
		_, err := r.Open(KindSignal, []byte(c.data), "coord-b")
		if wantReason(t, err, c.want); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestR10PlacesAreNotJoined: lists of places that look alike when they are joined do not open each other.
func TestR10PlacesAreNotJoined(t *testing.T) {
	r := newTestRing(t, "blocking")
	places := [][]string{
		nil, {""}, {"", ""}, {"a", "b"}, {"ab"}, {"a:b"}, {"a", "b", ""}, {"a", ":b"}, {"a:", "b"}, {"b", "a"},
		{"a\x00\x00\x00\x00\x00\x00\x00\x01b"},
	}
	for i, sealedFor := range places {
		data := r.Seal(nil, KindWarning, []byte(`{"a":1}`), sealedFor...)
		for j, openedAs := range places {
			if _, err := r.Open(KindWarning, data, openedAs...); (err == nil) != (i == j) {
				t.Errorf("sealed for %q, opened as %q: %v", sealedFor, openedAs, err)
			}
		}
	}
}

func TestSealJSON(t *testing.T) {
	type warning struct {
		Observer string `json:"observer"`
	}
	r := newTestRing(t, "blocking")
	data, err := SealJSON(r, KindWarning, warning{"<a&b>"}, "coord-a", "1")
	if err != nil || !strings.HasPrefix(string(data), `{"observer":"<a&b>","kid":"1","signature":"`) {
		t.Errorf("SealJSON = %s, %v", data, err)
	}
	if got, err := OpenJSON[warning](r, KindWarning, data, "coord-a", "1"); err != nil || got.Observer != "<a&b>" {
		t.Errorf("OpenJSON = %+v, %v", got, err)
	}
	_, err = OpenJSON[warning](r, KindVote, data, "coord-a", "1")
	wantReason(t, err, Forged)
	number, err := OpenJSON[struct{ Observer int }](r, KindWarning, data, "coord-a", "1")
	if wantReason(t, err, Malformed); number.Observer != 0 {
		t.Error("OpenJSON returns a value with its error")
	}
	for _, v := range []any{1, nil, struct{}{}, []int{1}, func() {}, map[string]int{}} {
		if _, err := SealJSON(r, KindWarning, v); err == nil {
			t.Errorf("SealJSON takes %T", v)
		}
	}
}

func TestRefusal(t *testing.T) {
	err := refuse(Forged, "detail")
	if !errors.Is(err, ErrForged) || errors.Is(err, ErrStale) || errors.Is(err, errors.ErrUnsupported) {
		t.Error("errors.Is does not go by the reason")
	}
	if ReasonOf(nil) != "" || ReasonOf(errors.ErrUnsupported) != "" || ReasonOf(errors.Join(err)) != Forged {
		t.Error("ReasonOf does not find the refusal")
	}
	if ErrStale.Error() != "envelope: refused as stale" || err.Error() != "envelope: refused as forged: detail" {
		t.Error(err)
	}
}

func TestCheckTime(t *testing.T) {
	const day, ahead = 24 * time.Hour, 5 * time.Minute
	for _, c := range []struct {
		offset time.Duration
		want   Reason
	}{
		{0, ""}, {-day, ""}, {-day - time.Millisecond, Stale}, {ahead, ""}, {ahead + time.Millisecond, Future},
	} {
		wantReason(t, CheckTime(testTime.Add(c.offset), testTime, day, ahead), c.want)
	}
	wantReason(t, CheckTime(time.UnixMilli(1<<63-1), testTime, day, ahead), Future)
	wantReason(t, CheckTime(time.UnixMilli(-1<<63), testTime, day, ahead), Stale)
	wantReason(t, CheckTime(time.Time{}, testTime, day, ahead), Stale)
}
