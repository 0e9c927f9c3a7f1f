package work

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// Intent is an entry of an owner's list: it means to own that epoch of the unit.
type Intent struct {
	Unit  Unit  `json:"unit"`
	Epoch int64 `json:"epoch"` // from 1
}

// Malformed is something that was set aside because it does not verify.
type Malformed struct {
	Key  string // where it stands, or what it holds up
	Unit string // whose it is, where that is known
	Err  error

	rubbish bool    // nobody will ever read it, so it holds up nothing
	claims  written // what an intent says that is no rubbish and does not verify; for keep alone
}

// mends reports whether a newer key ring, or the deletion of a forged key, may mend it one day.
func (m Malformed) mends() bool { return !m.rubbish }

// spoilt reports whether err is about one unit's records, so that others can go on.
func spoilt(err error) bool {
	for _, s := range []error{ErrMalformed, agree.ErrForged, store.ErrWrongType, store.ErrNotInteger} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

type intentWire struct {
	V int `json:"v"`
	Intent
}

func (d *Desk) intents(o Owner) ticketlog.Log {
	return ticketlog.Log{Store: d.Store, Keys: d.Space.Intents(o.ID, o.Incarnation), Times: d.Times.intents(), Now: d.Now}
}

// intend appends i to o's list until that is confirmed. After an unknown outcome it takes a new ticket: doubles do no
// harm.
func (d *Desk) intend(ctx context.Context, o Owner, i Intent) error {
	log := d.intents(o)
	sealed := d.seal(envelope.KindIntent, intentWire{1, i}, o.ID, dec(o.Incarnation))
	return d.until(ctx, func() error {
		_, err := log.Append(ctx, sealed, "")
		return err
	})
}

func (d *Desk) openIntent(o Owner, got store.Result) (Intent, error) {
	if got.Err != nil {
		return Intent{}, got.Err
	}
	w, err := open[intentWire](d, envelope.KindIntent, got.Value, o.ID, dec(o.Incarnation))
	if err != nil {
		return Intent{}, err
	}
	return w.Intent, w.check()
}

func (i Intent) check() error {
	if i.Epoch < 1 {
		return fmt.Errorf("%w: epoch %d", ErrMalformed, i.Epoch)
	}
	return i.Unit.check()
}

// written is an intent and the ticket that it stands under.
type written struct {
	Intent
	ticket int64
}

const (
	batchSize = 128     // intents in one trip
	longList  = 1 << 16 // a list with more tickets is not read one by one
)

// readIntents returns what stands in o's list now, each epoch of a unit once. A hole is skipped, whoever is to fill it:
// it was not confirmed.
func (d *Desk) readIntents(ctx context.Context, o Owner) (all []written, aside []Malformed, err error) {
	names := d.Space.Intents(o.ID, o.Incarnation)
	tickets, err := d.tickets(ctx, names)
	for len(tickets) > 0 && err == nil {
		n := min(len(tickets), batchSize)
		all, aside, err = d.readSome(ctx, o, names, tickets[:n], all, aside)
		tickets = tickets[n:]
	}
	return once(all), aside, err
}

// once drops doubles: of retries, and of several who chose the same heir.
func once(all []written) []written {
	seen := make(map[run]bool, len(all))
	return slices.DeleteFunc(all, func(w written) bool {
		r := run{w.Unit.ID, w.Epoch}
		again := seen[r]
		seen[r] = true
		return again
	})
}

func (d *Desk) readSome(ctx context.Context, o Owner, names keys.Log, tickets []int64, all []written, aside []Malformed) ([]written, []Malformed, error) {
	ops := make([]store.Op, len(tickets))
	for i, n := range tickets {
		ops[i] = store.GetOp(names.Entry(n))
	}
	results, err := d.batch(ctx, ops)
	if err != nil {
		return all, aside, err
	}
	for i, got := range results {
		intent, err := d.openIntent(o, got)
		switch {
		case errors.Is(err, store.ErrNotFound): // a hole, or over and deleted
		case err != nil:
			rubbish := envelope.ReasonOf(err) != envelope.UnknownKey
			claims, _ := decode[Intent](got.Value)
			aside = append(aside, Malformed{Key: ops[i].Key, Unit: intent.Unit.ID, Err: err, rubbish: rubbish, claims: written{claims, tickets[i]}})
		default:
			all = append(all, written{intent, tickets[i]})
		}
	}
	return all, aside, nil
}

// tickets lists those that may have an entry, ascending.
func (d *Desk) tickets(ctx context.Context, names keys.Log) (tickets []int64, err error) {
	raw, found, err := d.get(ctx, names.Tail)
	if !found || err != nil {
		return nil, err
	}
	tail, err := ticketlog.ParseTail(raw, names.Tail)
	if err != nil {
		return nil, err
	}
	if tail > longList {
		return d.listed(ctx, names)
	}
	for n := int64(1); n <= tail; n++ {
		tickets = append(tickets, n)
	}
	return tickets, nil
}

func (d *Desk) listed(ctx context.Context, names keys.Log) (tickets []int64, err error) {
	var found []string
	err = d.until(ctx, func() (err error) {
		found, err = d.Store.Keys(ctx, names.EntryPrefix())
		return err
	})
	for _, key := range found {
		if n, ok := names.Ticket(key); ok {
			tickets = append(tickets, n)
		}
	}
	return tickets, err
}

// standing is how the epochs before and of an intent ended; nil where they did not.
type standing struct {
	before, own *Decision
	err         error // one of them does not verify
}

// runs reports whether the epoch of the intent is owned by o and still open.
func (s standing) runs(o Owner) bool { return s.before != nil && s.before.Gives(o) && s.own == nil }

// over reports whether an intent of o has become meaningless: the epoch went to another, or has ended.
func (s standing) over(o Owner) bool { return s.own != nil || s.before != nil && !s.before.Gives(o) }

// decided is w with the payload that was decided, where one was: its own may be that of another claim.
func (s standing) decided(w written) written {
	if s.before != nil {
		w.Unit.Digest = s.before.Digest
	}
	return w
}

// standings reads how things stand for some intents, in one trip for each batch.
func (d *Desk) standings(ctx context.Context, some []written) (all []standing, err error) {
	for len(some) > 0 && err == nil {
		n := min(len(some), batchSize)
		all, err = d.standingsOf(ctx, some[:n], all)
		some = some[n:]
	}
	return all, err
}

func (d *Desk) standingsOf(ctx context.Context, some []written, all []standing) ([]standing, error) {
	ops := make([]store.Op, 0, 2*len(some))
	for _, w := range some {
		ops = append(ops, store.GetOp(d.Space.Epoch(w.Unit.ID, w.Epoch-1).Decision()),
			store.GetOp(d.Space.Epoch(w.Unit.ID, w.Epoch).Decision()))
	}
	results, err := d.batch(ctx, ops)
	if err != nil {
		return all, err
	}
	for i := range some {
		all = append(all, d.standing(ops[2*i:], results[2*i:]))
	}
	return all, nil
}

func (d *Desk) standing(ops []store.Op, got []store.Result) (s standing) {
	s.before, s.err = d.decision(ops[0].Key, got[0])
	if s.err == nil {
		s.own, s.err = d.decision(ops[1].Key, got[1])
	}
	return s
}

// decision opens what was read at a decision's key; nil where nothing was there.
func (d *Desk) decision(key string, got store.Result) (*Decision, error) {
	if errors.Is(got.Err, store.ErrNotFound) {
		return nil, nil
	}
	raw, err := codec{d.Ring, key}.Open(key, got.Value)
	if err = errors.Join(got.Err, err); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", agree.ErrForged, key, err)
	}
	decided, err := decode[Decision](raw)
	return &decided, err
}
