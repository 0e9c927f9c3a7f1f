package work

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// The two boards, as places of their records.
const (
	placeOpen      = "open"
	placeDeadlines = "deadlines"
)

// Deadline says that an owner must make progress.
type Deadline struct {
	Unit   Unit
	Epoch  int64
	Owner  Owner
	Within time.Duration
}

type openWire struct {
	V    int  `json:"v"`
	Unit Unit `json:"unit"`
}

type deadlineWire struct {
	V        int   `json:"v"`
	Unit     Unit  `json:"unit"`
	Epoch    int64 `json:"epoch"`
	Owner    Owner `json:"owner"`
	Progress int64 `json:"progressMs"`
}

func (d *Desk) board(names keys.Log) ticketlog.Log {
	return ticketlog.Log{Store: d.Store, Keys: names, Times: d.Times.Boards, Now: d.Now}
}

// post appends a sealed record to a board, again after an unknown outcome: doubles do no harm.
func (d *Desk) post(ctx context.Context, names keys.Log, sealed []byte) (ticket int64, err error) {
	log := d.board(names)
	err = d.until(ctx, func() (err error) {
		ticket, err = log.Append(ctx, sealed, "")
		return err
	})
	return ticket, err
}

// AddOpen puts u, after PutUnit, where anybody finds it who wants to claim its epoch 0. It waits for Times.Boards.Entry,
// from its last OpenReader.Refresh.
func (d *Desk) AddOpen(ctx context.Context, u Unit) error {
	if err := u.check(); err != nil {
		return err
	}
	_, err := d.post(ctx, d.Space.Open(), d.seal(envelope.KindUnit, openWire{1, u}, placeOpen))
	return err
}

// announce tells the monitors what this epoch owes them, before it runs.
func (h *Held) announce(ctx context.Context) (ticket int64, err error) {
	if h.Progress <= 0 {
		return 0, nil
	}
	w := deadlineWire{1, h.Unit, h.Epoch, h.me, h.Progress.Milliseconds()}
	return h.desk.post(ctx, h.desk.Space.Deadlines(), h.desk.seal(envelope.KindIntent, w, placeDeadlines))
}

func (h *Held) refreshDeadline() []store.Op {
	if h.deadline == 0 {
		return nil
	}
	names, times := h.desk.Space.Deadlines(), h.desk.Times.Boards
	return []store.Op{store.ExpireOp(names.Tail, times.Tail), store.ExpireOp(names.Entry(h.deadline), times.Entry)}
}

// OpenReader finds the units that wait for their first owner. It has one user at a time.
type OpenReader struct{ board[Unit] }

// OpenUnits returns a reader that finds all that wait.
func (d *Desk) OpenUnits() *OpenReader {
	return &OpenReader{board[Unit]{
		desk:   d,
		reader: ticketlog.Reader{Log: d.board(d.Space.Open())},
		open: func(data []byte) (Unit, error) {
			w, err := open[openWire](d, envelope.KindUnit, data, placeOpen)
			return w.Unit, errors.Join(err, w.Unit.check())
		},
		end: func(u Unit) keys.Decide { return d.Space.Epoch(u.ID, 0) },
	}}
}

// Read returns the units whose epoch 0 is undecided, those too that it returned before; and what does not verify, once.
// What is returned beside an error is good.
func (r *OpenReader) Read(ctx context.Context) ([]Unit, []Malformed, error) { return r.read(ctx) }

// Refresh keeps alive what waits, for somebody who will claim it when he has room: the payloads, then the counter, then
// the entries. It returns what does not verify, once. Call it every Times.Refresh.
func (r *OpenReader) Refresh(ctx context.Context) ([]Malformed, error) {
	_, aside, err := r.read(ctx)
	if err != nil {
		return aside, err
	}
	d, names := r.desk, r.reader.Keys
	var units, entries []store.Op
	for _, p := range r.standing {
		units = append(units, store.ExpireOp(d.Space.Unit(p.value.ID, p.value.Digest), d.Times.Unit))
		entries = append(entries, store.ExpireOp(names.Entry(p.ticket), d.Times.Boards.Entry))
	}
	ops := append(units, store.ExpireOp(names.Tail, d.Times.Boards.Tail))
	return aside, d.refresh(ctx, append(ops, entries...))
}

// DeadlineReader finds the epochs whose owners must make progress. It has one user at a time.
type DeadlineReader struct{ board[Deadline] }

// Deadlines returns a reader that finds all that are running.
func (d *Desk) Deadlines() *DeadlineReader {
	return &DeadlineReader{board[Deadline]{
		desk:   d,
		reader: ticketlog.Reader{Log: d.board(d.Space.Deadlines())},
		open: func(data []byte) (Deadline, error) {
			w, err := open[deadlineWire](d, envelope.KindIntent, data, placeDeadlines)
			within := time.Duration(w.Progress) * time.Millisecond
			return Deadline{w.Unit, w.Epoch, w.Owner, within}, errors.Join(err, Intent{w.Unit, w.Epoch}.check())
		},
		end: func(l Deadline) keys.Decide { return d.Space.Epoch(l.Unit.ID, l.Epoch) },
	}}
}

// Read returns the deadlines of all epochs that have not ended, those too that it returned before; and what does not
// verify, once. An epoch may be there twice. What is returned beside an error is good.
func (r *DeadlineReader) Read(ctx context.Context) ([]Deadline, []Malformed, error) {
	return r.read(ctx)
}

// Recheck looks for everything again, because the store may have lost writes and given out tickets a second time: what was
// known may stand no more, and where it stood something else may (X3).
func (b *board[T]) Recheck() {
	b.reader.Recheck()
	b.standing = nil
}

// board reads a log whose entries each wait for the end of an epoch.
type board[T any] struct {
	desk     *Desk
	reader   ticketlog.Reader
	open     func(data []byte) (T, error)
	end      func(T) keys.Decide
	standing []posted[T]
	placed   bool // the reader knows where to begin
}

type posted[T any] struct {
	value    T
	ticket   int64
	reported bool
}

func (b *board[T]) read(ctx context.Context) (waiting []T, aside []Malformed, err error) {
	if !b.placed {
		if err := b.reader.Recover(ctx); err != nil {
			return nil, nil, err
		}
		b.placed = true
	}
	aside, err = b.take(ctx)
	more, lookErr := b.look(ctx)
	for _, p := range b.standing {
		waiting = append(waiting, p.value)
	}
	return waiting, append(aside, more...), errors.Join(err, lookErr)
}

// take reads what was posted since.
func (b *board[T]) take(ctx context.Context) (aside []Malformed, err error) {
	entries, err := b.reader.Read(ctx)
	if errors.Is(err, ticketlog.ErrRegressed) {
		b.standing = nil // as the reader does, which returns again what still stands
	}
	b.replace(entries)
	for _, e := range entries {
		value, openErr := b.open(e.Value)
		if openErr != nil {
			aside = append(aside, Malformed{Key: b.reader.Keys.Entry(e.Ticket), Err: openErr})
			continue
		}
		b.standing = append(b.standing, posted[T]{value: value, ticket: e.Ticket})
	}
	return aside, err
}

// replace drops what was known under the tickets of entries: the reader looked again, and they may be others (X3).
func (b *board[T]) replace(entries []ticketlog.Entry) {
	again := make(map[int64]bool, len(entries))
	for _, e := range entries {
		again[e.Ticket] = true
	}
	b.standing = slices.DeleteFunc(b.standing, func(p posted[T]) bool { return again[p.ticket] })
}

// look drops, and deletes, the entries whose epoch has ended.
func (b *board[T]) look(ctx context.Context) (aside []Malformed, err error) {
	ops := make([]store.Op, len(b.standing))
	for i, p := range b.standing {
		ops[i] = store.GetOp(b.end(p.value).Decision())
	}
	ends, err := b.desk.batch(ctx, ops)
	if err != nil {
		return nil, err
	}
	var over []store.Op
	kept := b.standing[:0]
	for i, p := range b.standing {
		ended, err := b.desk.decision(ops[i].Key, ends[i])
		if err != nil && !p.reported {
			aside, p.reported = append(aside, Malformed{Key: ops[i].Key, Err: err}), true
		}
		if err == nil && ended != nil {
			over = append(over, store.ExpireOp(b.reader.Keys.Entry(p.ticket), 0))
			continue
		}
		kept = append(kept, p)
	}
	b.standing = kept
	return aside, b.desk.refresh(ctx, over)
}
