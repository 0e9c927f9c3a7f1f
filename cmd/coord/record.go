package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
)

// The kinds of keys that the command knows.
const (
	kindHeartbeat    = "heartbeat"
	kindIncarnation  = "incarnation"
	kindGeneration   = "generation"
	kindMember       = "member"
	kindMembersTail  = "members-tail"
	kindSignal       = "signal"
	kindTail         = "mailbox-tail"
	kindSkip         = "skip"
	kindCursor       = "cursor"
	kindAck          = "ack"
	kindLegacySignal = "legacy-signal"
	kindLegacyAck    = "legacy-ack"
	kindDecideCount  = "decide-counter"
	kindUnknown      = "unknown"
)

const month = 30 * 24 * time.Hour

// record is what a key says about itself.
type record struct {
	Key      string
	Kind     string
	Owner    string        // the coordinator in the key, if any
	Ticket   int64         // of an entry or a skip
	SignalID string        // of an ACK
	Life     time.Duration // the time to live that its writer gives it; 0: not known, leave it alone
}

// classify tells what key of space is. Whatever does not read back as exactly the key that package keys would build,
// from a valid id, is unknown: nothing is ever done to it.
func classify(space keys.Space, key string) record {
	rest, ours := strings.CutPrefix(key, space.Prefix())
	if !ours {
		return record{Key: key, Kind: kindUnknown}
	}
	kind, rest, _ := strings.Cut(rest, ":")
	r := record{Key: key, Kind: kindUnknown}
	switch kind {
	case "generation":
		r.Kind, r.Life = kindGeneration, month
	case "heartbeat":
		r.own(kindHeartbeat, rest, 0)
	case "incarnation":
		r.own(kindIncarnation, rest, month)
	case "cursor":
		r.own(kindCursor, unbrace(rest), mailbox.DefaultTimes.Cursor)
	case "signal":
		r.own(kindLegacySignal, rest, 0)
	case "ack":
		r.ack(rest)
	case "mailbox":
		r.mailbox(space, rest)
	case "{members}":
		r.log(space.Members(), kindMembersTail, kindMember, month)
	case "decide":
		r.decide(rest)
	}
	return r.verified(space)
}

// unbrace takes the braces off; an id never has any.
func unbrace(s string) string {
	inner, ok := strings.CutPrefix(s, "{")
	if inner, closed := strings.CutSuffix(inner, "}"); ok && closed {
		return inner
	}
	return ""
}

func (r *record) own(kind, id string, life time.Duration) { r.Kind, r.Owner, r.Life = kind, id, life }

func (r *record) ack(rest string) {
	sender, signal, found := strings.Cut(rest, ":")
	if !found {
		r.own(kindLegacyAck, rest, 0)
		return
	}
	r.own(kindAck, unbrace(sender), mailbox.DefaultTimes.Ack)
	r.SignalID = signal
}

func (r *record) mailbox(space keys.Space, rest string) {
	owner, _, _ := strings.Cut(rest, ":")
	r.Owner = unbrace(owner)
	r.log(space.Mailbox(r.Owner), kindTail, kindSignal, mailbox.DefaultTimes.Log.Entry)
}

// log is for the keys of a ticket log.
func (r *record) log(l keys.Log, tail, entry string, life time.Duration) {
	skip := strings.TrimSuffix(l.Skip(0), "0")
	switch {
	case r.Key == l.Tail:
		r.Kind, r.Life = tail, mailbox.DefaultTimes.Log.Tail
	case strings.HasPrefix(r.Key, skip):
		r.Kind, r.Life = kindSkip, mailbox.DefaultTimes.Log.Skip
		r.Ticket, _ = strconv.ParseInt(r.Key[len(skip):], 10, 64)
	default:
		if n, ok := l.Ticket(r.Key); ok {
			r.Kind, r.Ticket, r.Life = entry, n, life
		}
	}
}

// decide: only the counter may linger by itself.
func (r *record) decide(rest string) {
	if strings.HasPrefix(rest, "{") && strings.HasSuffix(rest, "}:n") {
		r.Kind, r.Life = kindDecideCount, agree.MinTTL
		r.SignalID = rest[1 : len(rest)-len("}:n")]
	}
}

// verified is r, or unknown where the key is not exactly the one that r would stand under.
func (r record) verified(space keys.Space) record {
	built, needsOwner := r.rebuilt(space)
	if r.Kind == kindUnknown || built != r.Key || needsOwner && keys.CheckID(r.Owner) != nil {
		return record{Key: r.Key, Kind: kindUnknown}
	}
	return r
}

func (r *record) rebuilt(space keys.Space) (key string, needsOwner bool) {
	switch r.Kind {
	case kindGeneration:
		return space.Generation(), false
	case kindMember:
		return space.Members().Entry(r.Ticket), false
	case kindMembersTail:
		return space.Members().Tail, false
	case kindDecideCount:
		return space.Decide(r.SignalID).Counter(), false
	case kindSkip:
		if r.Owner == "" {
			return space.Members().Skip(r.Ticket), false
		}
		return space.Mailbox(r.Owner).Skip(r.Ticket), true
	}
	return r.rebuiltOwned(space), true
}

func (r *record) rebuiltOwned(space keys.Space) string {
	switch r.Kind {
	case kindHeartbeat:
		return space.Heartbeat(r.Owner)
	case kindIncarnation:
		return space.Incarnation(r.Owner)
	case kindCursor:
		return space.Cursor(r.Owner)
	case kindAck:
		return space.Ack(r.Owner, r.SignalID)
	case kindLegacySignal:
		return space.LegacySignal(r.Owner)
	case kindLegacyAck:
		return space.LegacyAck(r.Owner)
	case kindSignal:
		return space.Mailbox(r.Owner).Entry(r.Ticket)
	case kindTail:
		return space.Mailbox(r.Owner).Tail
	}
	return ""
}
