package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Kind is what a record is. It is signed, so a record of one kind never opens as another.
type Kind string

// The kinds.
const (
	KindSignal     Kind = "signal"
	KindAck        Kind = "ack"
	KindHeartbeat  Kind = "heartbeat"
	KindMember     Kind = "member"
	KindCursor     Kind = "cursor"
	KindGeneration Kind = "generation"
	KindWarning    Kind = "warning"
	KindVote       Kind = "vote"
	KindDecision   Kind = "decision"
	KindIntent     Kind = "intent"
	KindUnit       Kind = "unit"
	KindCheckpoint Kind = "checkpoint"
)

// The end of every record.
const (
	kidOpen       = `,"kid":"`
	signatureOpen = `,"signature":"`
	closing       = `"}`
	tailLen       = len(signatureOpen) + signatureLen + len(closing)
)

// Seal appends body to dst as a sealed record. body is a complete JSON object, compact or not, with at least one member
// and nothing around it; its members must not be called kid or signature. Seal panics where body has no such outline,
// which only a fault in the caller can bring about. It keeps nothing of its arguments.
func (r *Ring) Seal(dst []byte, kind Kind, body []byte, place ...string) []byte {
	if len(body) < len(`{"":0}`) || body[0] != '{' || body[len(body)-1] != '}' {
		panic("envelope: Seal needs a JSON object with at least one member")
	}
	start := len(dst)
	dst = append(dst, body[:len(body)-1]...)
	return r.finish(dst, start, kind, place)
}

// finish seals the object in dst[start:], which is complete but for its closing brace.
func (r *Ring) finish(dst []byte, start int, kind Kind, place []string) []byte {
	k := r.keys[0]
	dst = append(dst, kidOpen...)
	dst = append(dst, k.id...)
	dst = append(dst, '"')
	end := len(dst)
	dst = append(dst, signatureOpen...)
	dst = k.appendSignature(dst, r.namespace, kind, place, dst[start:end])
	return append(dst, closing...)
}

// Open verifies a sealed record of that kind and place and returns its JSON object without the signature (the kid stays)
// in a slice of its own. data is neither kept nor changed. What is returned was signed by a holder of the key, as it is;
// Open does not parse it. The errors are Refusals.
func (r *Ring) Open(kind Kind, data []byte, place ...string) (body []byte, err error) {
	if err := r.verify(kind, data, place); err != nil {
		return nil, err
	}
	n := len(data) - tailLen
	return append(append(make([]byte, 0, n+1), data[:n]...), '}'), nil
}

// verify returns nil where data, to the last byte, is what a holder of the key sealed for that kind and place.
func (r *Ring) verify(kind Kind, data []byte, place []string) error {
	body, kid, signature, ok := split(data)
	if !ok {
		return outline(data)
	}
	k := r.key(kid)
	if k == nil {
		return refuse(UnknownKey, "kid "+string(kid))
	}
	if !k.verifies(signature, r.namespace, kind, place, body) {
		return refuse(Forged, "the signature does not fit")
	}
	return nil
}

// split takes a record apart from its end. There is one way to do it: kid and signature have fixed forms without quotes.
func split(data []byte) (body, kid, signature []byte, ok bool) {
	n := len(data) - tailLen
	if n < 0 {
		return nil, nil, nil, false
	}
	body, tail := data[:n], data[n:]
	signature = tail[len(signatureOpen) : len(signatureOpen)+signatureLen]
	ok = bytes.HasPrefix(tail, []byte(signatureOpen)) && bytes.HasSuffix(tail, []byte(closing)) &&
		lowerHex(signature, signatureLen)
	i := bytes.LastIndex(body, []byte(kidOpen))
	if !ok || i < 0 || body[n-1] != '"' || i+len(kidOpen) >= n {
		return nil, nil, nil, false
	}
	kid = body[i+len(kidOpen) : n-1]
	return body, kid, signature, validID(kid)
}

// outline tells an object that nobody signed from rubbish, for the one who reads the metrics.
func outline(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return refuse(Malformed, "not a JSON object")
	}
	if _, signed := members["signature"]; !signed {
		return refuse(Unsigned, "no signature")
	}
	return refuse(Malformed, "it does not end in kid and signature")
}

// SealJSON seals v, which must marshal to a JSON object with at least one member. It is for kinds that are not written
// often; the error is that of the marshalling.
func SealJSON(r *Ring, kind Kind, v any, place ...string) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // a person reads it
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("envelope: sealing a %s: %w", kind, err)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(body) == 0 || body[0] != '{' || len(body) == len("{}") {
		return nil, fmt.Errorf("envelope: sealing a %s: %T is not a JSON object with members", kind, v)
	}
	return r.Seal(nil, kind, body, place...), nil
}

// OpenJSON verifies a sealed record of that kind and place and then decodes it. The errors are Refusals.
func OpenJSON[T any](r *Ring, kind Kind, data []byte, place ...string) (T, error) {
	var v, zero T
	if err := r.verify(kind, data, place); err != nil {
		return zero, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return zero, refuse(Malformed, "not the JSON of a "+string(kind))
	}
	return v, nil
}
