package mailbox_test

import (
	"bytes"
	"context"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

var (
	ctx   = context.Background()
	space = keys.In("t")
	ring  = newRing()
	names = space.Mailbox("r")
	times = mailbox.Times{
		Log: ticketlog.Times{Entry: 24 * time.Hour, Tail: 48 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second},
		Ack: 24 * time.Hour, Cursor: 48 * time.Hour, MaxAhead: 5 * time.Minute,
	}
)

func newRing() *envelope.Ring {
	r, err := envelope.NewRing("t", envelope.Key{Secret: bytes.Repeat([]byte("k"), envelope.MinSecret)})
	if err != nil {
		panic(err)
	}
	return r
}

func all(*envelope.Signal) bool { return true }
