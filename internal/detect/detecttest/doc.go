// Package detecttest is a world in which D1 to D4 and D7 are on trial: a member that beats and then does not, and
// monitors that watch it, on any store. Every store operation is a moment at which somebody else may go first, time may
// pass, or something may fail. A judge looks at the store around each of them, and knows what monitors can only guess.
package detecttest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

var (
	ctx   = context.Background()
	space = keys.In("conformance")
	ring  = must(envelope.NewRing("conformance", envelope.Key{Secret: bytes.Repeat([]byte("k"), envelope.MinSecret)}))
	times = ticketlog.Times{Entry: 720 * time.Hour, Tail: 720 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Quick is a policy of few checks, so that runs are short.
var Quick = detect.Policy{
	Beat: time.Second, TTL: 3 * time.Second, Stale: 4 * time.Second,
	Warnings: 2, Spacing: 2 * time.Second, Window: 20 * time.Second, Check: time.Second,
}

// Patient is the same with a longer time to live, so that the late index is of use.
var Patient = detect.Policy{
	Beat: time.Second, TTL: 6 * time.Second, Stale: 7 * time.Second,
	Warnings: 2, Spacing: 2 * time.Second, Window: 20 * time.Second, Check: time.Second,
}

// plain is a codec without keys: the agreement is not what is on trial here.
type plain struct{}

func (plain) Seal(place string, value []byte) []byte { return []byte(place + "=" + string(value)) }

func (plain) Open(place string, data []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(data), place+"=")
	if !ok {
		return nil, errors.New("forged")
	}
	return []byte(value), nil
}

func names() agree.Names {
	d := space.Dead("p", 1)
	return agree.Names{Counter: d.Counter(), Decision: d.Decision(), Vote: d.Vote}
}

func beatOf(seq uint64, at time.Time) []byte {
	return must(envelope.AppendHeartbeat(nil, ring, &envelope.Heartbeat{
		ID: "p", Incarnation: 1, Session: "s", Seq: seq, Time: at, Status: "alive",
	}))
}
