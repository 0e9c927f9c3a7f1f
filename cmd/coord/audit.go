package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// auditFlags are the flags of the commands that look at the store once.
type auditFlags struct {
	Timeout time.Duration `default:"10s" help:"How long to go on trying while the store does not answer."`
}

// audit looks at the records of a namespace.
type audit struct {
	app    *app
	ctx    context.Context
	store  store.Store
	space  keys.Space
	ring   *envelope.Ring
	now    time.Time
	within time.Duration
}

const readAtOnce = 256 // keys in one trip

// audit runs f with an audit, and explains an outage.
func (a *app) audit(within time.Duration, f func(*audit) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	ring, err := envelope.NewRing(a.Namespace, cfg.Keys...)
	if err != nil {
		return err
	}
	driver, err := a.openStore()
	if err != nil {
		return err
	}
	defer func() { _ = driver.Close() }()
	ctx, cancel := context.WithTimeout(a.ctx, within)
	defer cancel()
	st := breaker.Wrap(driver, breaker.KeysTimeout(within))
	var last error
	defer st.Capabilities().Notices.Notify(func(n store.Notice) {
		if n.Err != nil {
			last = n.Err
		}
	})()
	u := &audit{app: a, ctx: ctx, store: st, space: keys.In(a.Namespace), ring: ring, now: time.Now(), within: within}
	return u.explain(f(u), &last)
}

// explain turns our own deadline into what it means.
func (u *audit) explain(err error, last *error) error {
	switch {
	case err == nil || u.app.ctx.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, coord.ErrUnavailable):
		return u.app.unanswered(u.within, *last)
	}
	return err
}

// keys lists the records below prefix, in order of their keys.
func (u *audit) keys(prefix string) ([]record, error) {
	names, err := u.store.Keys(u.ctx, prefix)
	slices.Sort(names)
	records := make([]record, len(names))
	for i, n := range names {
		records[i] = classify(u.space, n)
	}
	return records, err
}

// read gets the values of names, nil where one has gone meanwhile or is not a string.
func (u *audit) read(names []string) ([][]byte, error) {
	values := make([][]byte, 0, len(names))
	for some := range slices.Chunk(names, readAtOnce) {
		ops := make([]store.Op, len(some))
		for i, n := range some {
			ops[i] = store.GetOp(n)
		}
		for _, got := range store.Batch(u.ctx, u.store, ops) {
			if got.Err != nil && !errors.Is(got.Err, store.ErrNotFound) && !errors.Is(got.Err, store.ErrWrongType) {
				return nil, got.Err
			}
			values = append(values, got.Value)
		}
	}
	return values, nil
}

func namesOf(records []record) []string {
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.Key
	}
	return names
}

// verdict is "ok", or the word for why a record would be refused.
func verdict(err error) string {
	if reason := envelope.ReasonOf(err); reason != "" {
		return string(reason)
	}
	if err != nil {
		return "unreadable"
	}
	return "ok"
}

// signal opens what stands in a mailbox, as its owner would.
func (u *audit) signal(r record, value []byte) (*envelope.Signal, error) {
	s, err := envelope.OpenSignal(u.ring, r.Owner, value)
	if err != nil {
		return nil, err
	}
	t := mailbox.DefaultTimes
	return s, envelope.CheckTime(s.Time, u.now, t.Ack, t.MaxAhead)
}

// acknowledged tells for each of signals whether its own ACK stands; nil entries are passed over.
func (u *audit) acknowledged(signals []*envelope.Signal) ([]bool, error) {
	post := mailbox.Post{Store: u.store, Space: u.space, Ring: u.ring, Times: mailbox.DefaultTimes}
	acked := make([]bool, len(signals))
	var asked []int
	for i, s := range signals {
		if s != nil {
			asked = append(asked, i)
		}
	}
	for some := range slices.Chunk(asked, readAtOnce) {
		of := make([]*envelope.Signal, len(some))
		for j, i := range some {
			of[j] = signals[i]
		}
		acks, err := post.Acks(u.ctx, of, nil)
		if err != nil {
			return nil, err
		}
		for j, i := range some {
			acked[i] = acks[j] != nil
		}
	}
	return acked, nil
}

// Times to live that stand for something else.
const (
	ttlNone    = time.Duration(-1)
	ttlMissing = time.Duration(-2)
)

// lives asks the server how long names will live: what the five operations of a store do not tell.
func (u *audit) lives(names []string) ([]time.Duration, error) {
	o, err := redis.ParseURL(u.app.url())
	if err != nil {
		return nil, errors.New("malformed URL")
	}
	if p := u.app.password(); p != "" {
		o.Password = p
	}
	o.MaxRetries, o.DisableIdentity = 1, true
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	lives := make([]time.Duration, 0, len(names))
	for some := range slices.Chunk(names, readAtOnce) {
		pipe := client.Pipeline()
		for _, n := range some {
			pipe.PTTL(u.ctx, n)
		}
		got, err := pipe.Exec(u.ctx)
		if err != nil {
			return nil, fmt.Errorf("PTTL: %w", err)
		}
		for _, c := range got {
			lives = append(lives, c.(*redis.DurationCmd).Val())
		}
	}
	return lives, nil
}
