package envelope

import (
	"bytes"
	"testing"
	"time"
)

// testSecret is of the least length that a ring takes.
var testSecret = bytes.Repeat([]byte("s3cret--"), 4)

var testTime = time.UnixMilli(1_766_000_000_123).UTC()

func newTestRing(t testing.TB, namespace string, keys ...Key) *Ring {
	t.Helper()
	if len(keys) == 0 {
		keys = []Key{{Secret: testSecret}}
	}
	r, err := NewRing(namespace, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testSignal() *Signal {
	return &Signal{
		ID: "s-1", Sender: "coord-a", Receiver: "coord-b", Type: "wake", Time: testTime, Incarnation: 3,
		Session: "0123456789abcdef0123456789abcdef", Seq: 42, To: Instance{Incarnation: 2, Session: "fedcba9876543210"},
		Payload: []byte(`{"task":"review","n":1}`),
	}
}

func testAck() *Ack {
	return &Ack{
		SignalID: "s-1", Digest: Digest(testSignal()), Sender: "coord-a", Receiver: "coord-b", Incarnation: 2,
		Session: "fedcba9876543210", Time: testTime, Result: []byte("done"),
	}
}

func seal(t testing.TB, r *Ring, s *Signal) []byte {
	t.Helper()
	data, err := AppendSignal(nil, r, s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sealAck(t testing.TB, r *Ring, a *Ack) []byte {
	t.Helper()
	data, err := AppendAck(nil, r, a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantReason fails unless err is a refusal for that reason.
func wantReason(t testing.TB, err error, want Reason) {
	t.Helper()
	if got := ReasonOf(err); got != want {
		t.Errorf("refused as %q (%v), want %q", got, err, want)
	}
}
