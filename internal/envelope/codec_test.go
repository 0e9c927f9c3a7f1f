package envelope

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// marshal is encoding/json as the encoder must write it.
func marshal(t testing.TB, v any) string {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

func TestStringsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	for r := range rune(0x2100) {
		if s := "a" + string(r) + "b"; utf8.ValidRune(r) && string(appendString(nil, s)) != marshal(t, s) {
			t.Errorf("%q is written %s, want %s", s, appendString(nil, s), marshal(t, s))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("\u2027\u2028\u2029\u202a\"\\\x00\x1f\x7f<>&")))).Draw(t, "s")
		want, _ := json.Marshal(s)
		if string(appendString(nil, s)) != marshalRapid(t, s) || !json.Valid(appendString(nil, []byte(s))) {
			t.Fatalf("%q is written %s, want %s", s, appendString(nil, s), want)
		}
	})
}

func marshalRapid(t *rapid.T, v any) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// TestRecordsAreWrittenAsEncodingJSONDoes holds the encoders to the wire types, for every subset of optional members.
func TestRecordsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, a := drawSignal(t), drawAck(t)
		sw, aw := wireOfSignal(s), wireOfAck(a)
		if got, want := string(appendSignalBody(nil, s))+"}", marshalRapid(t, sw); got != want {
			t.Fatalf("a signal is written\n%s, want\n%s", got, want)
		}
		if got, want := string(appendAckBody(nil, a))+"}", marshalRapid(t, aw); got != want {
			t.Fatalf("an acknowledgement is written\n%s, want\n%s", got, want)
		}
	})
}

func wireOfSignal(s *Signal) signalWire {
	w := signalWire{
		V: 1, ID: s.ID, SenderID: s.Sender, ReceiverID: s.Receiver, Type: s.Type, Timestamp: s.Time.UnixMilli(),
		Incarnation: s.Incarnation, Session: s.Session, Seq: s.Seq, To: instanceWire(s.To), Round: s.Round,
		ReplyTo: s.ReplyTo, Trace: s.Trace,
	}
	w.Payload, w.PayloadBase64 = forms(s.Payload)
	return w
}

func wireOfAck(a *Ack) ackWire {
	w := ackWire{
		V: 1, SignalID: a.SignalID, Digest: a.Digest, SenderID: a.Sender, ReceiverID: a.Receiver,
		Incarnation: a.Incarnation, Session: a.Session, Timestamp: a.Time.UnixMilli(), Status: a.status(), Reason: a.Reason,
	}
	w.Result, w.ResultBase64 = forms(a.Result)
	return w
}

func forms(b []byte) (text, []byte) {
	if utf8.Valid(b) {
		return b, nil
	}
	return nil, b
}

// TestWhatWeWriteIsReadFast: the decoder without reflection takes every record that this package writes, but for what
// it may leave: escapes outside the bytes, and integers of 19 digits.
func TestWhatWeWriteIsReadFast(t *testing.T) {
	r := newTestRing(t, "blocking")
	for _, payload := range []string{"", "plain", `{"a":"b\\n"}`, "\x00\x01\u2028grüße", "\xff\xfe"} {
		s, a := testSignal(), testAck()
		s.Payload, a.Result = []byte(payload), []byte(payload)
		if _, ok := fastSignal(seal(t, r, s)); !ok {
			t.Errorf("a signal with %q is read slowly", payload)
		}
		if _, ok := fastAck(sealAck(t, r, a)); !ok {
			t.Errorf("an acknowledgement with %q is read slowly", payload)
		}
	}
	beat, _ := AppendHeartbeat(nil, r, &Heartbeat{ID: "a", Time: testTime, Status: "alive"})
	if _, ok := fastHeartbeat(beat); !ok {
		t.Error("a heartbeat is read slowly")
	}
}

// TestExtremeNumbers go the slow way and arrive whole.
func TestExtremeNumbers(t *testing.T) {
	r := newTestRing(t, "blocking")
	s := testSignal()
	s.Seq, s.Incarnation, s.To.Incarnation = math.MaxUint64, math.MinInt64, math.MaxInt64
	got, err := OpenSignal(r, "coord-b", seal(t, r, s))
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v, %v", got, err)
	}
}

// sameAsJSON fails where the fast decoder takes what encoding/json refuses, or takes it for something else.
func sameAsJSON[W any](t testing.TB, data []byte, fast func([]byte) (W, bool)) {
	t.Helper()
	got, ok := fast(data)
	if !ok {
		return
	}
	var want W
	if err := json.Unmarshal(data, &want); err != nil {
		t.Errorf("%q is taken, but encoding/json says %v", data, err)
	}
	if !reflect.DeepEqual(filled(got), filled(want)) {
		t.Errorf("%q is read as\n%+v, want\n%+v", data, got, want)
	}
}

// filled makes empty and missing bytes alike, as either does.
func filled(w any) any {
	switch w := w.(type) {
	case signalWire:
		w.Payload, w.PayloadBase64 = append(text{}, w.Payload...), append([]byte{}, w.PayloadBase64...)
		return w
	case ackWire:
		w.Result, w.ResultBase64 = append(text{}, w.Result...), append([]byte{}, w.ResultBase64...)
		return w
	}
	return w
}

// oddities are where decoders differ.
var oddities = []string{
	`{}`, `{"v":1}`, `{"v":1,"v":2}`, `{"V":1}`, `{"ID":"a","id":"b"}`,
	`{"id":"b","ID":"a"}`, `{"id":"b","later":"x"}`, `{"signalId":"a","SIGNALID":"b"}`, `{"status":"a","Status":"b"}`, `{"v":01}`, `{"v":-0}`, `{"v":-}`, `{"v":1e3}`,
	`{"v":1.0}`, `{"v":null}`, `{"v":"1"}`, `{"v":9223372036854775807}`, `{"v":99999999999999999999}`, `{"seq":-1}`,
	`{"seq":18446744073709551615}`, `{"id":"a\u0062"}`, `{"id":"\ud83d\ude00"}`, `{"payload":"\ud83d\ude00"}`,
	`{"payload":"\ud83d"}`, `{"payload":"\u00e9\/\b\f\n\r\t\"\\"}`, `{"payload":"\x"}`, `{"payload":"\u12"}`,
	`{"payload":"\u+123"}`, "{\"payload\":\"a\nb\"}", "{\"payload\":\"a\\\nb\"}", "{\"id\":\"\xff\"}", "{\"payload\":\"\xff\"}",
	"{\"payload\":\"\\n\xff\"}", `{"payload":"a","payload":"b"}`, `{"payload":"a","payload":""}`, `{"payloadBase64":"YQ=="}`,
	`{"payloadBase64":"YQ"}`, `{"payloadBase64":"Y Q=="}`, `{"payloadBase64":""}`, `{"payloadBase64":"YQ==","payloadBase64":""}`,
	`{"to":{"incarnation":1,"session":"a"}}`, `{"to":{"session":"a","incarnation":1}}`, `{"to":{}}`, `{"to":null}`,
	`{"to":{"incarnation":1,"session":"a"},"to":{"incarnation":2,"session":""}}`, `{"v":1,}`, `{,"v":1}`, `{"v":1 }`,
	` {"v":1}`, `{"v":1} `, `{"v":1}}`, `{"v":1`, `{"v"`, `{"v":`, `{"`, `{`, ``, `{"id":"a`, `{"id":"a\`, `{"kid":"1"}`,
	`{"signature":"x","kid":"\n"}`, `{"kid":1}`, `{"payload":"x","id":"after"}`, `{"id":"x,\"payload"}`, `{"a":"x"}`,
	`{"result":"r","resultBase64":"YQ=="}`, `{"status":"ok","reason":"a\"b"}`, `{"status":"ok","coordinatorId":"a"}`,
	"{\"id\":\"\x7f\"}", "{\"id\":\"\xe2\x80\xa8\"}", `{"id":["a"]}`, `{"":1}`, `{"payload":"` + "\\" + `u2028"}`,
}

func TestOdditiesDecodeAsJSON(t *testing.T) {
	for _, data := range oddities {
		sameAsJSON(t, []byte(data), fastSignal)
		sameAsJSON(t, []byte(data), fastAck)
		sameAsJSON(t, []byte(data), fastHeartbeat)
	}
}
