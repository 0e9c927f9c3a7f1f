package envelope

import (
	"encoding/json"
	"time"
)

// The wire types are the records as encoding/json sees them: what the decoders without reflection must agree with.

type instanceWire struct {
	Incarnation int64  `json:"incarnation"`
	Session     string `json:"session"`
}

type signalWire struct {
	V             int64        `json:"v"`
	ID            string       `json:"id"`
	SenderID      string       `json:"senderId"`
	ReceiverID    string       `json:"receiverId"`
	Type          string       `json:"type"`
	Timestamp     int64        `json:"timestamp"`
	Incarnation   int64        `json:"incarnation"`
	Session       string       `json:"session"`
	Seq           uint64       `json:"seq"`
	To            instanceWire `json:"to,omitzero"`
	Round         string       `json:"round,omitempty"`
	ReplyTo       string       `json:"replyTo,omitempty"`
	Trace         string       `json:"trace,omitempty"`
	Payload       text         `json:"payload,omitempty"`
	PayloadBase64 []byte       `json:"payloadBase64,omitempty"`
}

type ackWire struct {
	V            int64  `json:"v"`
	SignalID     string `json:"signalId"`
	Digest       string `json:"digest"`
	SenderID     string `json:"senderId"`
	ReceiverID   string `json:"receiverId"`
	Incarnation  int64  `json:"incarnation"`
	Session      string `json:"session"`
	Timestamp    int64  `json:"timestamp"`
	Status       string `json:"status"`
	Reason       string `json:"reason,omitempty"`
	Result       text   `json:"result,omitempty"`
	ResultBase64 []byte `json:"resultBase64,omitempty"`
}

type heartbeatWire struct {
	V             int64         `json:"v"`
	CoordinatorID string        `json:"coordinatorId"`
	Incarnation   int64         `json:"incarnation"`
	Session       string        `json:"session"`
	Seq           uint64        `json:"seq"`
	Timestamp     int64         `json:"timestamp"`
	Status        string        `json:"status"`
	Waits         []blockedWire `json:"waits,omitempty"`
}

type blockedWire struct {
	Since int64    `json:"since"`
	On    []string `json:"on,omitempty"`
	Types []string `json:"types,omitempty"`
	Round string   `json:"round,omitempty"`
}

type memberWire struct {
	V             int64  `json:"v"`
	CoordinatorID string `json:"coordinatorId"`
	Incarnation   int64  `json:"incarnation"`
	Session       string `json:"session"`
}

type cursorWire struct {
	V          int64  `json:"v"`
	ReceiverID string `json:"receiverId"`
	Ticket     int64  `json:"ticket"`
	Generation string `json:"generation,omitempty"`
}

// text is bytes that JSON shows as a string.
type text []byte

// MarshalText returns t as it is.
func (t text) MarshalText() ([]byte, error) { return t, nil }

// UnmarshalText copies b.
func (t *text) UnmarshalText(b []byte) error {
	*t = append(text(nil), b...)
	return nil
}

// decode reads a record by the way without reflection, or, where that one does not take it, by encoding/json, whose
// verdict is the one that counts.
func decode[W any](data []byte, fast func([]byte) (W, bool)) (W, error) {
	if w, ok := fast(data); ok {
		return w, nil
	}
	var w, zero W
	if err := json.Unmarshal(data, &w); err != nil {
		return zero, refuse(Malformed, "not the JSON of its kind")
	}
	return w, nil
}

// checkVersion refuses a record that a later version of the format may mean otherwise.
func checkVersion(v int64) error {
	if v != version {
		return refuse(Malformed, "not of version 1")
	}
	return nil
}

// either returns the one of the two forms of a value that is there, nil where none is.
func either(plain, base64 []byte) ([]byte, error) {
	switch {
	case len(plain) > 0 && len(base64) > 0:
		return nil, refuse(Malformed, "bytes in two forms at once")
	case len(plain) > 0:
		return plain, nil
	case len(base64) > 0:
		return base64, nil
	}
	return nil, nil
}

// check refuses a verified signal that stands in another's mailbox or is of another version.
func (w *signalWire) check(receiver string) error {
	if err := checkVersion(w.V); err != nil {
		return err
	}
	if w.ReceiverID != receiver {
		return refuse(Misrouted, "it names another receiver")
	}
	return nil
}

func (w *signalWire) signal(receiver string) (*Signal, error) {
	if err := w.check(receiver); err != nil {
		return nil, err
	}
	payload, err := either(w.Payload, w.PayloadBase64)
	if err != nil {
		return nil, err
	}
	s := &Signal{
		ID: w.ID, Sender: w.SenderID, Receiver: w.ReceiverID, Type: w.Type, Time: time.UnixMilli(w.Timestamp).UTC(),
		Incarnation: w.Incarnation, Session: w.Session, Seq: w.Seq, To: Instance(w.To),
		Round: w.Round, ReplyTo: w.ReplyTo, Trace: w.Trace, Payload: payload,
	}
	if err := s.checkIDs(); err != nil {
		return nil, err
	}
	return s, nil
}

// check refuses a verified acknowledgement of another signal, of another version or with a status that nobody knows.
func (w *ackWire) check(sender, signalID string) error {
	if err := checkVersion(w.V); err != nil {
		return err
	}
	if w.SenderID != sender || w.SignalID != signalID {
		return refuse(Misrouted, "it names another signal")
	}
	if w.Status != statusOK && w.Status != statusRejected {
		return refuse(Malformed, "an unknown status")
	}
	return nil
}

func (w *ackWire) ack(sender, signalID string) (*Ack, error) {
	if err := w.check(sender, signalID); err != nil {
		return nil, err
	}
	result, err := either(w.Result, w.ResultBase64)
	if err != nil {
		return nil, err
	}
	a := &Ack{
		SignalID: w.SignalID, Digest: w.Digest, Sender: w.SenderID, Receiver: w.ReceiverID,
		Incarnation: w.Incarnation, Session: w.Session, Time: time.UnixMilli(w.Timestamp).UTC(),
		Rejected: w.Status == statusRejected, Reason: w.Reason, Result: result,
	}
	if err := a.checkIDs(); err != nil {
		return nil, err
	}
	return a, nil
}
