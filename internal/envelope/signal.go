package envelope

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// MaxSize is the most bytes that a sealed signal or acknowledgement may have, signature and all.
const MaxSize = 64 << 10

// Instance is one life of a coordinator. The zero value is "none that I know of".
type Instance struct {
	Incarnation int64
	Session     string
}

// Signal is a message from one coordinator to another.
type Signal struct {
	ID          string    // matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}, like Sender, Receiver and Type
	Sender      string    // who sent it
	Receiver    string    // whom it is for
	Type        string    // what it asks for: wake, validate, decide, ...
	Time        time.Time // when; in whole milliseconds, UTC, once it was sealed
	Incarnation int64     // the sender's
	Session     string    // the sender's
	Seq         uint64    // counts the sender's signals within its session
	To          Instance  // the receiver as the sender last saw it; optional
	Round       string    // the round that it belongs to; optional
	ReplyTo     string    // the id of the signal that it answers; optional
	Trace       string    // a trace context; optional
	Payload     []byte    // any bytes; empty and nil are the same
}

// AppendSignal appends s to dst as a sealed record. It keeps nothing of s. A record of more than MaxSize bytes is
// ErrTooLarge, a field that breaks the rules ErrMalformed; dst is then returned as it was.
func AppendSignal(dst []byte, r *Ring, s *Signal) ([]byte, error) {
	if err := s.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	out := slices.Grow(dst, room+s.strings()+sizeOf(len(s.Payload)))
	out = r.finish(appendSignalBody(out, s), start, KindSignal, []string{s.Receiver})
	if len(out)-start > MaxSize {
		return dst, refuse(TooLarge, "a signal of more than 64 KiB")
	}
	return out, nil
}

// strings is how long the strings are that grow with what users name.
func (s *Signal) strings() int {
	return len(s.ID) + len(s.Sender) + len(s.Receiver) + len(s.Type) + len(s.Session) + len(s.To.Session) +
		len(s.Round) + len(s.ReplyTo) + len(s.Trace)
}

// check refuses what OpenSignal would refuse, or what JSON would alter.
func (s *Signal) check() error {
	if len(s.Payload) > MaxSize {
		return refuse(TooLarge, "a payload of more than 64 KiB")
	}
	if err := s.checkIDs(); err != nil {
		return err
	}
	return checkTexts(s.Session, s.To.Session, s.Round, s.ReplyTo, s.Trace)
}

func (s *Signal) checkIDs() error {
	return checkIDs([2]string{"id", s.ID}, [2]string{"senderId", s.Sender},
		[2]string{"receiverId", s.Receiver}, [2]string{"type", s.Type})
}

// appendSignalBody appends s as an object without its closing brace. The payload comes last: decoding shares one copy
// of all that is before it.
func appendSignalBody(dst []byte, s *Signal) []byte {
	dst = append(dst, versionMember...)
	dst = appendText(dst, `,"id":`, s.ID)
	dst = appendText(dst, `,"senderId":`, s.Sender)
	dst = appendText(dst, `,"receiverId":`, s.Receiver)
	dst = appendText(dst, `,"type":`, s.Type)
	dst = appendTime(dst, s.Time)
	dst = appendInt(dst, `,"incarnation":`, s.Incarnation)
	dst = appendText(dst, `,"session":`, s.Session)
	dst = appendUint(dst, `,"seq":`, s.Seq)
	dst = appendInstance(dst, s.To)
	dst = appendOptional(dst, `,"round":`, s.Round)
	dst = appendOptional(dst, `,"replyTo":`, s.ReplyTo)
	dst = appendOptional(dst, `,"trace":`, s.Trace)
	return appendBytes(dst, `,"payload":`, `,"payloadBase64":`, s.Payload)
}

func appendInstance(dst []byte, to Instance) []byte {
	if to == (Instance{}) {
		return dst
	}
	dst = appendInt(dst, `,"to":{"incarnation":`, to.Incarnation)
	dst = appendText(dst, `,"session":`, to.Session)
	return append(dst, '}')
}

// OpenSignal verifies data as a signal that stands in receiver's mailbox, decodes and checks it. The signal shares no
// memory with data. Its age is not judged: see CheckTime. The errors are Refusals.
func OpenSignal(r *Ring, receiver string, data []byte) (*Signal, error) {
	if len(data) > MaxSize {
		return nil, refuse(TooLarge, "a signal of more than 64 KiB")
	}
	if err := r.verify(KindSignal, data, []string{receiver}); err != nil {
		return nil, r.blameSignal(err, receiver, data)
	}
	w, err := decode(data, fastSignal)
	if err != nil {
		return nil, err
	}
	return w.signal(receiver)
}

// blameSignal turns a forgery into what it may rather be: a true signal to somebody else that was put here. The label
// is all that depends on it.
func (r *Ring) blameSignal(err error, receiver string, data []byte) error {
	if ReasonOf(err) != Forged {
		return err
	}
	w, bad := decode(data, fastSignal)
	if bad != nil || w.ReceiverID == receiver || r.verify(KindSignal, data, []string{w.ReceiverID}) != nil {
		return err
	}
	return refuse(Misrouted, "signed for another receiver")
}

// Digest names the content of s: hex SHA-256 over sender, receiver, id, type, round and payload. Session and time are
// not in it, because a sender that restarted repeats its question under the old id.
func Digest(s *Signal) string {
	d := digest(s)
	return string(d[:])
}

func digest(s *Signal) (text [signatureLen]byte) {
	var space [512]byte // spares most signals an allocation
	b := space[:0]
	for _, x := range [...]string{s.Sender, s.Receiver, s.ID, s.Type, s.Round} {
		b = appendField(b, x)
	}
	sum := sha256.Sum256(appendField(b, s.Payload))
	hex.Encode(text[:], sum[:])
	return text
}
