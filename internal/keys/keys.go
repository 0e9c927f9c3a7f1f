// Package keys is the one place where store keys are built, and the rules for the ids in them.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrInvalidID: an id, type or namespace that does not match [A-Za-z0-9][A-Za-z0-9._-]{0,127}.
var ErrInvalidID = errors.New("invalid id")

// MaxID is the length of the longest id, in bytes.
const MaxID = 128

// CheckID returns an error that wraps ErrInvalidID unless id matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}. Neither the
// separator of keys nor a glob character nor a brace can be in an id, so no two ids build the same key and no prefix
// of one owner's keys covers another's.
func CheckID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidID)
	case len(id) > MaxID:
		return fmt.Errorf("%w: %q… has %d characters, at most %d are allowed", ErrInvalidID, id[:16], len(id), MaxID)
	case !alphanumeric(id[0]):
		return fmt.Errorf("%w: %q must begin with a letter or a digit", ErrInvalidID, id)
	}
	if !Valid(id) {
		return fmt.Errorf("%w: %q may only hold letters, digits and . _ -", ErrInvalidID, id)
	}
	return nil
}

// Valid reports whether id satisfies CheckID.
func Valid[T string | []byte](id T) bool {
	if len(id) == 0 || len(id) > MaxID || !alphanumeric(id[0]) {
		return false
	}
	for i := 1; i < len(id); i++ {
		if !legal[id[i]] {
			return false
		}
	}
	return true
}

// legal is a table, because letters and digits come at random, which no branch predicts.
var legal = func() (t [256]bool) {
	for c := range t {
		t[c] = alphanumeric(byte(c)) || c == '.' || c == '_' || c == '-'
	}
	return t
}()

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Space builds the keys of one namespace. Braces are Redis Cluster hash tags: keys that need an order within one batch
// share one.
type Space struct{ prefix string }

// In returns the Space of namespace, which must satisfy CheckID.
func In(namespace string) Space { return Space{prefix: namespace + ":"} }

// Prefix is what every key of the namespace begins with.
func (s Space) Prefix() string { return s.prefix }

// Log names the keys of a ticket log.
type Log struct {
	Tail  string // the counter
	entry string
	skip  string
}

func newLog(base string) Log {
	return Log{Tail: base + ":tail", entry: base + ":entry:", skip: base + ":skip:"}
}

// EntryPrefix is what the keys of all entries begin with; the ticket in decimal follows.
func (l Log) EntryPrefix() string { return l.entry }

// Entry is the key of entry n.
func (l Log) Entry(n int64) string { return numbered(l.entry, n) }

// Skip is the key of the flag that closes hole n.
func (l Log) Skip(n int64) string { return numbered(l.skip, n) }

func numbered(prefix string, n int64) string {
	var buf [192]byte // enough for most: then the string is the only allocation
	return string(strconv.AppendInt(append(buf[:0], prefix...), n, 10))
}

// Ticket is the inverse of Entry.
func (l Log) Ticket(key string) (int64, bool) {
	if len(key) <= len(l.entry) || key[:len(l.entry)] != l.entry {
		return 0, false
	}
	n, err := strconv.ParseInt(key[len(l.entry):], 10, 64)
	return n, err == nil && n > 0 && key == l.Entry(n)
}

// Generation is written once per life of the store; when it is gone, the store has lost its data.
func (s Space) Generation() string { return s.prefix + "generation" }

// Incarnation counts the joins of id.
func (s Space) Incarnation(id string) string { return s.prefix + "incarnation:" + id }

// Heartbeat holds the last beat of id.
func (s Space) Heartbeat(id string) string { return s.HeartbeatPrefix() + id }

// HeartbeatPrefix is what all heartbeat keys begin with.
func (s Space) HeartbeatPrefix() string { return s.prefix + "heartbeat:" }

// Members is the registry: a log of everybody who joined.
func (s Space) Members() Log { return newLog(s.prefix + "{members}") }

// Late is the index of heartbeats by count, where the store has one.
func (s Space) Late() string { return s.prefix + "{late}" }

// Indexed is the name of an incarnation in the late index.
func Indexed(id string, incarnation int64) string { return numbered(id+"/", incarnation) }

// OfIndexed is the inverse of Indexed; "" for what is no such name.
func OfIndexed(name string) (id string, incarnation int64) {
	at := strings.LastIndexByte(name, '/')
	incarnation, err := strconv.ParseInt(name[at+1:], 10, 64)
	if at < 0 || err != nil {
		return "", 0
	}
	return name[:at], incarnation
}

// Mailbox is the log of signals to id.
func (s Space) Mailbox(id string) Log { return newLog(s.MailboxPrefix() + "{" + id + "}") }

// MailboxPrefix is what the keys of all mailboxes begin with.
func (s Space) MailboxPrefix() string { return s.prefix + "mailbox:" }

// Cursor holds the lowest ticket of id's mailbox that id has not consumed.
func (s Space) Cursor(id string) string { return s.prefix + "cursor:{" + id + "}" }

// Ack holds the acknowledgement of sender's signal with that id.
func (s Space) Ack(sender, signal string) string { return s.AckPrefix() + "{" + sender + "}:" + signal }

// AckPrefix is what all acknowledgement keys begin with, but for the legacy ones.
func (s Space) AckPrefix() string { return s.prefix + "ack:" }

// Question is the id of the signal by which asker asks member in a round: the same whenever it is asked, and of no use
// to anybody else. The three are valid ids, so '/' keeps them apart.
func (s Space) Question(asker, round, member string) string {
	sum := sha256.Sum256([]byte(s.prefix + asker + "/" + round + "/" + member))
	return "q-" + hex.EncodeToString(sum[:20])
}

// Round names the agreement on the outcome of an asker's round.
func (s Space) Round(asker, round string) Decide { return s.Decide("round/" + asker + "/" + round) }

// RoundBegan names the agreement on when it was first gathered.
func (s Space) RoundBegan(asker, round string) Decide {
	return s.Decide("round/" + asker + "/" + round + "/began")
}

// RoundReply names the agreement on what a member has replied in an asker's round.
func (s Space) RoundReply(asker, round, member string) Decide {
	return s.Decide("round/" + asker + "/" + round + "/reply/" + member)
}

// Awaited names the agreement on the signal that ended a named wait of id.
func (s Space) Awaited(id, wait string) Decide { return s.Decide("wait/" + id + "/" + wait) }

// AwaitBegan names the agreement on when that wait began.
func (s Space) AwaitBegan(id, wait string) Decide {
	return s.Decide("wait/" + id + "/" + wait + "/began")
}

// Channel is where the hints for id are published.
func (s Space) Channel(id string) string { return s.prefix + "hint:{" + id + "}" }

// LegacySignal is the legacy format's one slot per receiver.
func (s Space) LegacySignal(id string) string { return s.prefix + "signal:" + id }

// LegacyAck is the legacy format's one slot per sender.
func (s Space) LegacyAck(id string) string { return s.prefix + "ack:" + id }

// LegacySeen remembers the legacy signals that id handed over, by their digest.
func (s Space) LegacySeen(id, digest string) string {
	return s.prefix + "legacy:{" + id + "}:" + digest
}

// Decide names the keys of one agreement. name is made of valid ids joined by '/'.
func (s Space) Decide(name string) Decide { return Decide{base: s.prefix + "decide:{" + name + "}:"} }

// Decide names the keys of one agreement.
type Decide struct{ base string }

// Counter hands out the tickets.
func (d Decide) Counter() string { return d.base + "n" }

// Vote is the key of vote r.
func (d Decide) Vote(r int64) string { return d.base + "vote:" + strconv.FormatInt(r, 10) }

// Decision is the key of the outcome.
func (d Decide) Decision() string { return d.base + "decision" }
