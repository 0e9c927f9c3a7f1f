package envelope

import (
	"slices"
	"time"
)

// The statuses of an acknowledgement.
const (
	statusOK       = "ok"
	statusRejected = "rejected"
)

// Ack says that one signal was handed over, and what came of it.
type Ack struct {
	SignalID    string    // the signal's id
	Digest      string    // the signal's content: see Digest
	Sender      string    // the signal's sender: whom the acknowledgement is for
	Receiver    string    // the signal's receiver: who acknowledges
	Incarnation int64     // the receiver's
	Session     string    // the receiver's
	Time        time.Time // when; in whole milliseconds, UTC, once it was sealed
	Rejected    bool      // the handler refused; Reason says why
	Reason      string    // optional
	Result      []byte    // the handler's answer: any bytes; empty and nil are the same
}

// Answers reports whether a acknowledges s: that id, from that sender, by that receiver, with that content. (S5: an
// acknowledgement satisfies only its own signal.)
func (a *Ack) Answers(s *Signal) bool {
	want := digest(s)
	return a.SignalID == s.ID && a.Sender == s.Sender && a.Receiver == s.Receiver && a.Digest == string(want[:])
}

// AppendAck appends a to dst as a sealed record. It keeps nothing of a. A record of more than MaxSize bytes is
// ErrTooLarge, a field that breaks the rules ErrMalformed; dst is then returned as it was.
func AppendAck(dst []byte, r *Ring, a *Ack) ([]byte, error) {
	if err := a.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	out := slices.Grow(dst, room+a.strings()+sizeOf(len(a.Reason)+len(a.Result)))
	out = r.finish(appendAckBody(out, a), start, KindAck, []string{a.Sender, a.SignalID})
	if len(out)-start > MaxSize {
		return dst, refuse(TooLarge, "an acknowledgement of more than 64 KiB")
	}
	return out, nil
}

// strings is how long the strings are that grow with what users name.
func (a *Ack) strings() int {
	return len(a.SignalID) + len(a.Digest) + len(a.Sender) + len(a.Receiver) + len(a.Session)
}

// check refuses what OpenAck would refuse, or what JSON would alter.
func (a *Ack) check() error {
	if len(a.Result) > MaxSize || len(a.Reason) > MaxSize {
		return refuse(TooLarge, "a result of more than 64 KiB")
	}
	if err := a.checkIDs(); err != nil {
		return err
	}
	return checkTexts(a.Session, a.Reason)
}

func (a *Ack) checkIDs() error {
	if !lowerHex(a.Digest, signatureLen) {
		return refuse(Malformed, "digest is not 64 lower-case hex digits")
	}
	return checkIDs([2]string{"signalId", a.SignalID}, [2]string{"senderId", a.Sender},
		[2]string{"receiverId", a.Receiver})
}

// appendAckBody appends a as an object without its closing brace.
func appendAckBody(dst []byte, a *Ack) []byte {
	dst = append(dst, versionMember...)
	dst = appendText(dst, `,"signalId":`, a.SignalID)
	dst = appendText(dst, `,"digest":`, a.Digest)
	dst = appendText(dst, `,"senderId":`, a.Sender)
	dst = appendText(dst, `,"receiverId":`, a.Receiver)
	dst = appendInt(dst, `,"incarnation":`, a.Incarnation)
	dst = appendText(dst, `,"session":`, a.Session)
	dst = appendTime(dst, a.Time)
	dst = appendText(dst, `,"status":`, a.status())
	dst = appendOptional(dst, `,"reason":`, a.Reason)
	return appendBytes(dst, `,"result":`, `,"resultBase64":`, a.Result)
}

func (a *Ack) status() string {
	if a.Rejected {
		return statusRejected
	}
	return statusOK
}

// OpenAck verifies data as the acknowledgement of that signal of that sender, decodes and checks it. Whether its
// content is the one that was sent is for Answers to say. It shares no memory with data. The errors are Refusals.
func OpenAck(r *Ring, sender, signalID string, data []byte) (*Ack, error) {
	if len(data) > MaxSize {
		return nil, refuse(TooLarge, "an acknowledgement of more than 64 KiB")
	}
	if err := r.verify(KindAck, data, []string{sender, signalID}); err != nil {
		return nil, err
	}
	w, err := decode(data, fastAck)
	if err != nil {
		return nil, err
	}
	return w.ack(sender, signalID)
}
