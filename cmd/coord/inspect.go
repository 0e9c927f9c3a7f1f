package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

type inspectCmd struct {
	auditFlags
	Key string `arg:"" help:"The key, with or without the namespace before it."`
}

// finding is what inspect says about a record.
type finding struct {
	Key       string          `json:"key"`
	Kind      string          `json:"kind"`
	TTLMs     *int64          `json:"ttlMs"` // null where it has none, or none that can be known
	Signature string          `json:"signature"`
	Detail    string          `json:"detail,omitempty"` // why it would be refused
	State     string          `json:"state,omitempty"`
	Time      *time.Time      `json:"time,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	Raw       []byte          `json:"raw,omitempty"`

	ttl string
	now time.Time
}

// Run shows one record.
func (c *inspectCmd) Run(a *app) error {
	return a.audit(c.Timeout, func(u *audit) error {
		key := c.Key
		if !strings.HasPrefix(key, u.space.Prefix()) {
			key = u.space.Prefix() + key
		}
		value, err := u.store.Get(u.ctx, key)
		if err != nil {
			return missing(key, err)
		}
		f := u.inspect(classify(u.space, key), value)
		return a.say(f.text(), f)
	})
}

func missing(key string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%s: there is no such key", key)
	}
	return err
}

func (u *audit) inspect(r record, value []byte) *finding {
	f := &finding{Key: r.Key, Kind: r.Kind, now: u.now}
	f.content(value)
	f.life(u.lives([]string{r.Key}))
	err := u.open(f, r, value)
	if f.Signature == "" {
		f.Signature = verdict(err)
	}
	if err != nil {
		f.Detail = err.Error()
	}
	return f
}

// unsigned is said of records that carry no signature.
const unsigned = "none: not a signed record"

// open verifies value as the record that its key says it is.
func (u *audit) open(f *finding, r record, value []byte) (err error) {
	switch r.Kind {
	case kindSignal:
		return u.openSignal(f, r, value)
	case kindAck:
		var a *envelope.Ack
		if a, err = envelope.OpenAck(u.ring, r.Owner, r.SignalID, value); err == nil {
			f.Time = &a.Time
		}
	case kindHeartbeat:
		var h *envelope.Heartbeat
		if h, err = envelope.OpenHeartbeat(u.ring, r.Owner, value); err == nil {
			f.Time, f.State = &h.Time, h.Status
		}
	case kindLegacySignal:
		return u.openLegacy(f, r, value)
	default:
		var signed bool
		if signed, err = r.verify(u.ring, value); !signed {
			f.Signature = unsigned
		}
	}
	return err
}

func (u *audit) openSignal(f *finding, r record, value []byte) error {
	s, err := u.signal(r, value)
	m := mail{record: r, signal: s, err: err}
	if s != nil {
		f.Time = &s.Time
		if acked, failed := u.acknowledged([]*envelope.Signal{s}); failed == nil {
			m.acked = acked[0]
		}
	}
	f.State = m.state()
	return err
}

func (u *audit) openLegacy(f *finding, r record, value []byte) error {
	s, err := envelope.OpenLegacy(u.ring, r.Owner, value, u.now, false)
	if err == nil {
		f.Time = &s.Time
	}
	f.State = "legacy"
	return err
}

// content shows JSON as it is and anything else as text or bytes.
func (f *finding) content(value []byte) {
	if json.Valid(value) && utf8.Valid(value) { // json passes over what is no character
		f.Value = value
		return
	}
	f.Raw = value
}

func (f *finding) life(lives []time.Duration, err error) {
	switch {
	case err != nil:
		f.ttl = "not known: " + err.Error()
	case lives[0] == ttlNone:
		f.ttl = "none"
	case lives[0] >= 0:
		ms := lives[0].Milliseconds()
		f.TTLMs, f.ttl = &ms, brief(lives[0])
	}
}

func (f *finding) text() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, oneLine(value))
		}
	}
	line("key", f.Key)
	line("kind", f.Kind)
	line("ttl", f.ttl)
	line("signature", f.Signature)
	line("refused", f.Detail)
	line("state", f.State)
	if f.Time != nil {
		line("time", fmt.Sprintf("%s (%s)", f.Time.UTC().Format("2006-01-02T15:04:05.000Z"), age(f.now, *f.Time)))
	}
	b.WriteString(f.body())
	return b.String()
}

func (f *finding) body() string {
	var pretty bytes.Buffer
	if f.Raw != nil {
		return fmt.Sprintf("%q", f.Raw)
	}
	_ = json.Indent(&pretty, f.Value, "", "  ") // it is valid
	return pretty.String()
}
