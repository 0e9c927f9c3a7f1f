package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/work"
)

// The kinds of keys that the command does more with than to name them.
const (
	kindHeartbeat    = "heartbeat"
	kindSignal       = "signal"
	kindAck          = "ack"
	kindLegacySignal = "legacy-signal"
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
	shape    *shape        // nil: unknown
	parts    []string      // what shape found in the key
}

// shape is what the keys of one kind look like behind the namespace. Groups are ids but for those of numbers, in the
// order of the key.
type shape struct {
	kind    string
	pattern *regexp.Regexp
	life    time.Duration // for gc, where a key may have been left without one
	seal    envelope.Kind // "": it is not a signed record, or opened by its own rules
	place   func(r record) []string
}

// like builds a shape from a key in which I stands for an id, N for a number and D for a digest. Each has one spelling,
// so exactly the keys that package keys builds have the shape.
func like(kind, key string) shape {
	groups := strings.NewReplacer(
		"I", `([A-Za-z0-9][A-Za-z0-9._-]{0,127})`, "N", `(0|[1-9][0-9]{0,18})`, "D", `([0-9a-f]+)`,
		"{", `\{`, "}", `\}`)
	return shape{kind: kind, pattern: regexp.MustCompile("^" + groups.Replace(key) + "$")}
}

func (s shape) living(life time.Duration) shape { s.life = life; return s }

// sealed is for records that are signed for what their key is made of, unless place says otherwise.
func (s shape) sealed(kind envelope.Kind, place ...string) shape {
	s.seal, s.place = kind, func(r record) []string { return r.parts }
	if len(place) > 0 {
		s.place = func(record) []string { return place }
	}
	return s
}

// sealedForKey is for records that are signed for the key itself.
func (s shape) sealedForKey(kind envelope.Kind) shape {
	s.seal, s.place = kind, func(r record) []string { return []string{r.Key} }
	return s
}

// sealedForOwner is for entries of somebody's log, which may stand under any number.
func (s shape) sealedForOwner(kind envelope.Kind) shape {
	s.seal, s.place = kind, func(r record) []string { return r.parts[:len(r.parts)-1] }
	return s
}

// logOf are the shapes of a ticket log's keys.
func logOf(name, base string, entry, tail time.Duration, seal func(shape) shape) []shape {
	return []shape{
		like(name+"-tail", base+":tail").living(tail),
		like("skip", base+":skip:N").living(mailbox.DefaultTimes.Log.Skip),
		seal(like(name, base+":entry:N").living(entry)),
	}
}

// agreementOf are the shapes of an agreement's keys.
func agreementOf(of, name string) []shape {
	base := "decide:{" + name + "}:"
	return []shape{
		like("decide-counter", base+"n").living(agree.MinTTL),
		like("vote-on-"+of, base+"vote:N").sealedForKey(envelope.KindVote),
		like("decision-on-"+of, base+"decision").sealedForKey(envelope.KindDecision),
	}
}

// shapes are those of all keys.
var shapes = slices.Concat(
	[]shape{
		like("generation", "generation").living(month).sealed(envelope.KindGeneration),
		like(kindHeartbeat, "heartbeat:I"),
		like("incarnation", "incarnation:I").living(70 * 24 * time.Hour),
		like("cursor", "cursor:{I}").living(mailbox.DefaultTimes.Cursor).sealed(envelope.KindCursor),
		like(kindAck, "ack:{I}:I").living(mailbox.DefaultTimes.Ack),
		like(kindLegacySignal, "signal:I"),
		like("legacy-ack", "ack:I"),
		like("legacy-seen", "legacy:{I}:D"),
		like("late-index", "{late}"),
		like("late-index-count", "{late}:count"),
		like("warning", "warning:I:N:N:N").sealed(envelope.KindWarning),
		like("handled", "handled:I:N").sealedForKey(envelope.KindDecision),
		like("unit", "work:{I}:unit:D").sealed(envelope.KindUnit),
		like("progress", "work:{I}:progress:N").living(work.DefaultTimes.Progress),
		like("checkpoint", "work:{I}:checkpoint:N:N").sealed(envelope.KindCheckpoint),
	},
	logOf(kindSignal, "mailbox:{I}", mailbox.DefaultTimes.Log.Entry, mailbox.DefaultTimes.Log.Tail, func(s shape) shape { return s }),
	logOf("member", "{members}", month, mailbox.DefaultTimes.Log.Tail,
		func(s shape) shape { return s.sealed(envelope.KindMember, "members") }),
	logOf("intent", "work:intents:{I/N}", work.DefaultTimes.Intents.Entry, work.DefaultTimes.Intents.Tail,
		func(s shape) shape { return s.sealedForOwner(envelope.KindIntent) }),
	logOf("unit-without-an-owner", "{work-open}", work.DefaultTimes.Boards.Entry, work.DefaultTimes.Boards.Tail,
		func(s shape) shape { return s.sealed(envelope.KindUnit, "open") }),
	logOf("deadline", "{work-deadlines}", work.DefaultTimes.Boards.Entry, work.DefaultTimes.Boards.Tail,
		func(s shape) shape { return s.sealed(envelope.KindIntent, "deadlines") }),
	agreementOf("death", "dead/I/N"),
	agreementOf("epoch", "work/I/N"),
	agreementOf("round", "round/I/I"),
	agreementOf("beginning", "round/I/I/began"),
	agreementOf("reply", "round/I/I/reply/I"),
	agreementOf("wait", "wait/I/I"),
	agreementOf("beginning", "wait/I/I/began"),
)

// classify tells what key of space is. What is not exactly a key that package keys would build, from valid ids, is
// unknown: nothing is ever done to it.
func classify(space keys.Space, key string) record {
	r := record{Key: key, Kind: kindUnknown}
	rest, ours := strings.CutPrefix(key, space.Prefix())
	if !ours {
		return r
	}
	for i := range shapes {
		if parts := shapes[i].pattern.FindStringSubmatch(rest); parts != nil {
			r.fill(&shapes[i], parts[1:])
			break
		}
	}
	return r
}

func (r *record) fill(s *shape, parts []string) {
	r.Kind, r.Life, r.shape, r.parts = s.kind, s.life, s, parts
	if len(parts) > 0 {
		r.Owner = parts[0]
		r.Ticket, _ = strconv.ParseInt(parts[len(parts)-1], 10, 64)
	}
	if r.Kind == kindAck {
		r.SignalID = parts[1]
	}
}

// verify checks the signature of a record that has no rules of its own.
func (r record) verify(ring *envelope.Ring, value []byte) (signed bool, err error) {
	if r.shape == nil || r.shape.seal == "" {
		return false, nil
	}
	if _, err = ring.Open(r.shape.seal, value, r.shape.place(r)...); err != nil {
		err = fmt.Errorf("%s: %w", r.Kind, err)
	}
	return true, err
}
