package envelope

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestSignalIsReadable(t *testing.T) {
	got := string(seal(t, newTestRing(t, "blocking"), testSignal()))
	want := `{"v":1,"id":"s-1","senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":1766000000123,` +
		`"incarnation":3,"session":"0123456789abcdef0123456789abcdef","seq":42,` +
		`"to":{"incarnation":2,"session":"fedcba9876543210"},"payload":"{\"task\":\"review\",\"n\":1}",` +
		`"kid":"1","signature":"`
	if !strings.HasPrefix(got, want) {
		t.Errorf("sealed as\n%s, want it to begin\n%s", got, want)
	}
}

func TestSignalRoundTrip(t *testing.T) {
	r := newTestRing(t, "blocking")
	for name, payload := range map[string][]byte{
		"none": nil, "text": []byte("hello"), "json": []byte(`{"a":"b\n"}`), "utf8": []byte("grüße \u2028 \x00 \x7f 日本"),
		"binary": {0xff, 0x00, 0xfe}, "separator": []byte("\u2028\u2029\u2027\u202a\xe2\x80\xa7"),
	} {
		s := testSignal()
		s.Payload = payload
		got, err := OpenSignal(r, "coord-b", seal(t, r, s))
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: opened as %+v, %v; want %+v", name, got, err, s)
		}
	}
}

func TestSignalAppendsToDst(t *testing.T) {
	r := newTestRing(t, "blocking")
	got, err := AppendSignal([]byte("12 "), r, testSignal())
	if err != nil || string(got) != "12 "+string(seal(t, r, testSignal())) {
		t.Errorf("AppendSignal = %s, %v", got, err)
	}
}

func TestSignalTooLarge(t *testing.T) {
	r := newTestRing(t, "blocking")
	s := testSignal()
	s.Payload = nil
	overhead := len(seal(t, r, s)) + len(`,"payload":""`)
	s.Payload = bytes.Repeat([]byte("x"), MaxSize-overhead)
	data := seal(t, r, s)
	if _, err := OpenSignal(r, "coord-b", data); len(data) != MaxSize || err != nil {
		t.Errorf("a record of %d bytes: %v", len(data), err)
	}
	s.Payload = append(s.Payload, 'x')
	dst, err := AppendSignal([]byte("dst"), r, s)
	if wantReason(t, err, TooLarge); string(dst) != "dst" {
		t.Errorf("dst became %d bytes", len(dst))
	}
	_, err = OpenSignal(r, "coord-b", append(data, ' '))
	wantReason(t, err, TooLarge)
}

func TestSignalFieldsAreChecked(t *testing.T) {
	r := newTestRing(t, "blocking")
	for name, spoil := range map[string]func(*Signal){
		"id": func(s *Signal) { s.ID = "a:b" }, "sender": func(s *Signal) { s.Sender = "" },
		"receiver": func(s *Signal) { s.Receiver = "*" }, "type": func(s *Signal) { s.Type = "wake up" },
		"long": func(s *Signal) { s.ID = strings.Repeat("a", 129) }, "dot": func(s *Signal) { s.ID = ".a" },
		"session": func(s *Signal) { s.Session = "\xff" }, "to": func(s *Signal) { s.To.Session = "\xff" },
		"round": func(s *Signal) { s.Round = "\xc3" }, "trace": func(s *Signal) { s.Trace = "\xc3" },
		"replyTo": func(s *Signal) { s.ReplyTo = "\xc3" },
	} {
		s := testSignal()
		spoil(s)
		if _, err := AppendSignal(nil, r, s); ReasonOf(err) != Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sealBody seals body as a key holder with another program might.
func sealBody(r *Ring, body string) []byte {
	return r.Seal(nil, KindSignal, []byte(body), "coord-b")
}

func TestOpenSignalChecksWhatAKeyHolderWrote(t *testing.T) {
	r := newTestRing(t, "blocking")
	const fields = `"id":"s-1","senderId":"coord-a","type":"wake","timestamp":1,"incarnation":1,"session":"x","seq":1`
	for body, want := range map[string]Reason{
		`{"v":1,"receiverId":"coord-b",` + fields + `}`:                                      "",
		`{"v":1,"receiverId":"coord-b","later":{"x":[1]},` + fields + `}`:                    "",
		`{"v":2,"receiverId":"coord-b",` + fields + `}`:                                      Malformed,
		`{"receiverId":"coord-b",` + fields + `}`:                                            Malformed,
		`{"v":1,"receiverId":"coord-c",` + fields + `}`:                                      Misrouted,
		`{"v":1,` + fields + `}`:                                                             Misrouted,
		`{"v":1,"receiverId":"coord-b",` + fields + `,"payload":"a","payloadBase64":"YQ=="}`: Malformed,
		`{"v":1,"receiverId":"coord-b",` + fields + `,"payloadBase64":"YQ"}`:                 Malformed,
		`{"v":1,"receiverId":"coord-b",` + fields + `,"id":"a:b"}`:                           Malformed,
		`{"v":1,"receiverId":"coord-b",` + fields + `,"seq":-1}`:                             Malformed,
		`{"v":1,"receiverId":"coord-b",` + fields + `,"seq":1.5}`:                            Malformed,
		`{"v":1,"receiverId":"coord-b" "broken"}`:                                            Malformed,
	} {
		_, err := OpenSignal(r, "coord-b", sealBody(r, body))
		if wantReason(t, err, want); t.Failed() {
			t.Fatal(body)
		}
	}
}

func TestSignalMovedToAnotherMailboxIsMisrouted(t *testing.T) {
	r := newTestRing(t, "blocking")
	data := seal(t, r, testSignal())
	_, err := OpenSignal(r, "coord-c", data)
	wantReason(t, err, Misrouted)
	_, err = OpenSignal(r, "coord-c", bytes.Replace(data, []byte("wake"), []byte("wale"), 1))
	wantReason(t, err, Forged)
}

func TestSignalSharesNoMemoryWithData(t *testing.T) {
	r := newTestRing(t, "blocking")
	for _, payload := range []string{"plain", "esc\"aped", "\xff binary"} {
		s := testSignal()
		s.Payload = []byte(payload)
		data := seal(t, r, s)
		got, err := OpenSignal(r, "coord-b", data)
		clear(data)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("after data was overwritten: %+v, %v", got, err)
		}
	}
}

func TestDigestCoversContentOnly(t *testing.T) {
	base := Digest(testSignal())
	for name, c := range map[string]struct {
		change  func(*Signal)
		differs bool
	}{
		"id":       {func(s *Signal) { s.ID = "s-2" }, true},
		"sender":   {func(s *Signal) { s.Sender = "coord-x" }, true},
		"receiver": {func(s *Signal) { s.Receiver = "coord-x" }, true},
		"type":     {func(s *Signal) { s.Type = "decide" }, true},
		"round":    {func(s *Signal) { s.Round = "r" }, true},
		"payload":  {func(s *Signal) { s.Payload = []byte("x") }, true},
		"shifted":  {func(s *Signal) { s.Sender, s.Receiver = "coord-ac", "oord-b" }, true},
		"time":     {func(s *Signal) { s.Time = testTime.Add(1e9) }, false},
		"session":  {func(s *Signal) { s.Session, s.Incarnation, s.Seq = "other", 9, 9 }, false},
		"to":       {func(s *Signal) { s.To = Instance{} }, false},
		"trace":    {func(s *Signal) { s.Trace = "t" }, false},
	} {
		s := testSignal()
		c.change(s)
		if got := Digest(s); (got != base) != c.differs || !lowerHex(got, 64) {
			t.Errorf("%s: digest %s, base %s", name, got, base)
		}
	}
}
