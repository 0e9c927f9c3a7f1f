package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
)

// What passes has room in an acknowledgement of anybody to anybody, in whichever form it stands there.
func TestServeAnswersFit(t *testing.T) {
	t.Parallel()
	ring, err := envelope.NewRing("n", coord.Key{Secret: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("i", 64)
	for piece, most := range map[string]int{"x": 60<<10 - 3, "\xff": 45 << 10, "\n": 30<<10 - 2, "<": 60<<10 - 3, "\x01": 10<<10 - 1} {
		answer, err := fitting([]byte(strings.Repeat(piece, most)))
		if err != nil {
			t.Errorf("%d of %q: %v", most, piece, err)
		}
		_, err = envelope.AppendAck(nil, ring, &envelope.Ack{
			SignalID: id, Digest: strings.Repeat("d", 64), Sender: id, Receiver: id, Session: id, Incarnation: 1 << 60, Result: answer,
		})
		if err != nil {
			t.Errorf("%d of %q: %v", most, piece, err)
		}
		if _, err := fitting([]byte(strings.Repeat(piece, most+1))); err == nil {
			t.Errorf("%d of %q pass", most+1, piece)
		}
	}
}

// Whom to ask is looked at before the one who asks now is superseded.
func TestGatherRefusesBeforeItJoins(t *testing.T) {
	t.Parallel()
	u := at(t, "redis://127.0.0.1:1")
	for _, to := range []string{"v1,v1", "", "v1,,v2"} {
		u.wrong(exitUsage, "--to: ", "gather", "--id", "po", "--round", "r", "--to", to, "--timeout", "1s")
	}
}
