package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// The legacy format, for coordinators that were built for it. It is weaker than ours in ways that no reader can
// mend: the payload does not exist, the place is not signed, and an acknowledgement is not signed at all and names no
// signal. What can be mended is: fields with a colon are refused, so that no two signals share a signature.
//
//	signal  {"senderId":"...","receiverId":"...","type":"...","timestamp":<ms>,"signature":"<64 lower-case hex digits>"}
//	        signature = hex(HMAC-SHA256(secret, senderId + ":" + receiverId + ":" + type + ":" + timestamp))
//	ack     {"receiverId":"<the sender of the signal>","timestamp":<ms>}

// The ages that a legacy signal may have, both edges included.
const (
	LegacyMaxAge   = 24 * time.Hour
	LegacyMaxAhead = 5 * time.Minute
)

// legacyWire is the slot's value.
type legacyWire struct {
	SenderID   string  `json:"senderId"`
	ReceiverID string  `json:"receiverId"`
	Type       string  `json:"type"`
	Timestamp  *int64  `json:"timestamp"`
	Signature  *string `json:"signature"`
}

// OpenLegacy verifies data as a legacy signal to receiver, with the raw secret of any key of the ring. A
// signature that is there must fit, whatever allowUnsigned says; with allowUnsigned it may be missing, and the timestamp
// may be in seconds, of ten digits. The signal's ID is "legacy-" and half the SHA-256 of data in hex, so that the same
// slot has the same id after a restart; it has no session, no sequence and no payload. The errors are Refusals.
func OpenLegacy(r *Ring, receiver string, data []byte, now time.Time, allowUnsigned bool) (*Signal, error) {
	w, err := parseLegacy(data)
	if err != nil {
		return nil, err
	}
	if err := r.verifyLegacy(w, allowUnsigned); err != nil {
		return nil, err
	}
	ts := legacyTime(*w.Timestamp, allowUnsigned)
	if err := CheckTime(ts, now, LegacyMaxAge, LegacyMaxAhead); err != nil {
		return nil, err
	}
	if w.ReceiverID != receiver {
		return nil, refuse(Misrouted, "it names another receiver")
	}
	return &Signal{ID: legacyID(data), Sender: w.SenderID, Receiver: receiver, Type: w.Type, Time: ts}, nil
}

// parseLegacy decodes data and checks the form of what the signature is computed over.
func parseLegacy(data []byte) (*legacyWire, error) {
	if len(data) > MaxSize {
		return nil, refuse(TooLarge, "a legacy signal of more than 64 KiB")
	}
	var w legacyWire
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, refuse(Malformed, "not the JSON of a legacy signal")
	}
	if w.Timestamp == nil {
		return nil, refuse(Malformed, "no timestamp")
	}
	// R10: the rule for ids has no colon, so the joined fields can be taken apart in one way only.
	return &w, checkIDs([2]string{"senderId", w.SenderID}, [2]string{"receiverId", w.ReceiverID},
		[2]string{"type", w.Type})
}

// verifyLegacy tries every key: a legacy signal does not say which one signed it.
func (r *Ring) verifyLegacy(w *legacyWire, allowUnsigned bool) error {
	switch {
	case w.Signature == nil && allowUnsigned:
		return nil
	case w.Signature == nil:
		return refuse(Unsigned, "no signature")
	case !lowerHex(*w.Signature, signatureLen): // R13: a reader that compares bytes without a look at their number throws here
		return refuse(Malformed, "the signature is not 64 lower-case hex digits")
	}
	for _, k := range r.keys {
		want := k.appendLegacySignature(nil, w.SenderID, w.ReceiverID, w.Type, *w.Timestamp)
		if hmac.Equal(want, []byte(*w.Signature)) {
			return nil
		}
	}
	return refuse(Forged, "the signature does not fit")
}

// appendLegacySignature signs with the secret itself: the legacy format knows no derived keys.
func (k *key) appendLegacySignature(dst []byte, sender, receiver, typ string, ms int64) []byte {
	m := k.raw.get()
	defer k.raw.put(m)
	for _, field := range [...]string{sender, receiver, typ} {
		m.buf = append(append(m.buf, field...), ':')
	}
	m.buf = strconv.AppendInt(m.buf, ms, 10)
	m.hash.Write(m.buf)
	return m.appendHex(dst)
}

// legacyTime reads a timestamp: in milliseconds, or, where seconds are allowed and it has ten digits, in seconds. Ten
// digits of milliseconds end in April 1970, so that nothing fresh is ever misread.
func legacyTime(n int64, seconds bool) time.Time {
	if seconds && 1e9 <= n && n < 1e10 {
		return time.Unix(n, 0).UTC()
	}
	return time.UnixMilli(n).UTC()
}

func legacyID(data []byte) string {
	sum := sha256.Sum256(data)
	return "legacy-" + hex.EncodeToString(sum[:sha256.Size/2])
}

// AppendLegacy appends a signal in the legacy format to dst, signed with the raw secret of the ring's first key. A
// field that breaks the rule for ids is ErrMalformed; dst is then returned as it was.
func AppendLegacy(dst []byte, r *Ring, sender, receiver, typ string, now time.Time) ([]byte, error) {
	if err := checkIDs([2]string{"senderId", sender}, [2]string{"receiverId", receiver}, [2]string{"type", typ}); err != nil {
		return dst, err
	}
	dst = appendText(dst, `{"senderId":`, sender)
	dst = appendText(dst, `,"receiverId":`, receiver)
	dst = appendText(dst, `,"type":`, typ)
	dst = appendTime(dst, now)
	dst = append(dst, signatureOpen...)
	dst = r.keys[0].appendLegacySignature(dst, sender, receiver, typ, now.UnixMilli())
	return append(dst, closing...), nil
}

// AppendLegacyAck appends the acknowledgement that the sender of a legacy signal waits for to dst. It is not signed. An
// originalSender that breaks the rule for ids is ErrMalformed; dst is then returned as it was.
func AppendLegacyAck(dst []byte, originalSender string, now time.Time) ([]byte, error) {
	if err := checkIDs([2]string{"receiverId", originalSender}); err != nil {
		return dst, err
	}
	dst = appendText(dst, `{"receiverId":`, originalSender)
	return append(appendTime(dst, now), '}'), nil
}

// OpenLegacyAck reads the acknowledgement of a legacy signal that originalSender sent and returns its time. It proves
// nothing but that somebody wrote it: whether it is new is for the caller to see. The errors are Refusals.
func OpenLegacyAck(originalSender string, data []byte) (time.Time, error) {
	if len(data) > MaxSize {
		return time.Time{}, refuse(TooLarge, "a legacy acknowledgement of more than 64 KiB")
	}
	var w legacyWire
	if err := json.Unmarshal(data, &w); err != nil || w.Timestamp == nil {
		return time.Time{}, refuse(Malformed, "not the JSON of a legacy acknowledgement")
	}
	if w.ReceiverID != originalSender {
		return time.Time{}, refuse(Misrouted, "it names another sender")
	}
	return time.UnixMilli(*w.Timestamp).UTC(), nil
}
