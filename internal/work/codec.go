package work

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

// Data is bytes that JSON shows as a string where they are text, and as {"base64": "..."} where they are not.
type Data []byte

type base64 struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON has one form for each value.
func (d Data) MarshalJSON() ([]byte, error) {
	if utf8.Valid(d) {
		return json.Marshal(string(d))
	}
	return json.Marshal(base64{d})
}

// UnmarshalJSON is the inverse of MarshalJSON. An empty value becomes an empty, not a nil one.
func (d *Data) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		var b base64
		err := json.Unmarshal(raw, &b)
		*d = b.Base64
		return err
	}
	var s string
	err := json.Unmarshal(raw, &s)
	*d = []byte(s)
	return err
}

// marshal is the one JSON of v: equal values give equal bytes, since nothing here has a map in it. v is one of our own
// types, none of which can fail.
func marshal(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("work: %T: %v", v, err))
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// seal signs v for place.
func (d *Desk) seal(kind envelope.Kind, v any, place ...string) []byte {
	return d.Ring.Seal(nil, kind, marshal(v), place...)
}

// open verifies data for place, and decodes it.
func open[T any](d *Desk, kind envelope.Kind, data []byte, place ...string) (T, error) {
	v, err := envelope.OpenJSON[T](d.Ring, kind, data, place...)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, err
}

// codec signs the votes and the decision of one agreement, each for its key.
type codec struct {
	ring     *envelope.Ring
	decision string
}

func (c codec) kind(place string) envelope.Kind {
	if place == c.decision {
		return envelope.KindDecision
	}
	return envelope.KindVote
}

// Seal signs value, a JSON object.
func (c codec) Seal(place string, value []byte) []byte {
	return c.ring.Seal(nil, c.kind(place), value, place)
}

// Open returns the value without what Seal added: a value that is voted for again, by the holder of another key, keeps
// its bytes.
func (c codec) Open(place string, data []byte) ([]byte, error) {
	body, err := c.ring.Open(c.kind(place), data, place)
	if err != nil {
		return nil, err
	}
	kid := bytes.LastIndex(body, []byte(`,"kid":"`)) // Open has seen to it that it is there
	return append(body[:kid], '}'), nil
}

func agreement(n keys.Decide) agree.Names {
	return agree.Names{Counter: n.Counter(), Decision: n.Decision(), Vote: n.Vote}
}
