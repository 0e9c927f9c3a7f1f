package ticketlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// ErrRegressed: the counter went back. The store lost acknowledged writes. The reader has
// begun to look for everything again.
var ErrRegressed = errors.New("ticketlog: the log's counter went back: the store lost writes")

const (
	batchSize = 256     // tickets in one trip
	fewHoles  = 1024    // tickets that a reader without a position looks at one by one
	farAhead  = 1 << 16 // tickets that any reader looks at one by one; a counter further ahead is listed
)

// Entry is one value and the ticket that it stands under.
type Entry struct {
	Ticket int64
	Value  []byte // nil: something that no Append wrote
}

// Reader reads a log. Its zero position is before the first entry. It has one owner at a time.
type Reader struct {
	Log
	next   int64       // the lowest ticket never looked at; 0 means 1
	holes  []hole      // tickets below next that were absent, ascending
	hinted []int64     // tickets below next that were taken on a hint's word, ascending
	bound  int64       // while settling: the last ticket that the list is to find
	settle time.Time   // while settling: when to list; else zero
	audits []time.Time // when to look for entries below next that should not be there
}

type hole struct {
	ticket int64
	since  time.Time
}

// StartAt makes ticket the first to be read.
func (r *Reader) StartAt(ticket int64) {
	*r = Reader{Log: r.Log, next: max(ticket, 1)}
}

// Lowest is the lowest ticket that has not been read or closed: where a successor of this reader has to start, unless
// the caller still holds a lower one.
func (r *Reader) Lowest() int64 {
	lowest := max(r.next, 1)
	if len(r.audits) > 0 {
		return 1 // what stands below the position is not known yet
	}
	if len(r.holes) > 0 {
		lowest = min(lowest, r.holes[0].ticket)
	}
	if len(r.hinted) > 0 {
		lowest = min(lowest, r.hinted[0])
	}
	return lowest
}

// Recover positions a reader that does not know where it was: at the first ticket where that is near. Where it is far,
// Read returns nothing until half the skip TTL has passed since the counter was read, when every writer with a ticket
// up to there has either written or started over; then one list finds what there is.
func (r *Reader) Recover(ctx context.Context) error {
	tail, err := r.tail(ctx)
	if err != nil {
		return err
	}
	r.StartAt(1)
	if tail > fewHoles {
		r.settleUpTo(tail)
	}
	return nil
}

func (r *Reader) settleUpTo(tail int64) {
	r.bound, r.settle = tail, r.Now().Add(r.Times.Skip/2+time.Millisecond)
}

// Recheck looks for everything again, because the store may have lost writes and given out numbers a second time: at
// once, and once more when every writer that may have had such a number has written or started over. Meanwhile the
// reader goes on. What it finds may have been returned before.
func (r *Reader) Recheck() {
	r.hinted = nil // they are found like all others
	r.audits = make([]time.Time, 2)
}

// audit lists what stands below the position, and has it read.
func (r *Reader) audit(ctx context.Context) error {
	if len(r.audits) == 0 || r.Now().Before(r.audits[0]) {
		return nil
	}
	found, err := r.listed(ctx, 1, r.next-1)
	if err != nil {
		return err
	}
	if r.audits = r.audits[1:]; len(r.audits) > 0 {
		// Counted from here, where the counter is known to be past every number that is looked for.
		r.audits[0] = r.Now().Add(r.Times.Skip/2 + time.Millisecond)
	}
	for _, n := range found {
		r.note(n, r.Now())
	}
	return nil
}

func (r *Reader) settling() bool { return !r.settle.IsZero() }

// list ends the settling: what is listed is still to be read, what is not will never be there.
func (r *Reader) list(ctx context.Context) error {
	found, err := r.listed(ctx, max(r.next, 1), r.bound)
	if err != nil {
		return err
	}
	for _, n := range found {
		r.note(n, r.Now())
	}
	r.next, r.settle = r.bound+1, time.Time{}
	return nil
}

// listed returns the tickets from first to last that have an entry, ascending.
func (r *Reader) listed(ctx context.Context, first, last int64) (found []int64, err error) {
	names, err := r.Store.Keys(ctx, r.Keys.EntryPrefix())
	for _, name := range names {
		if n, ok := r.Keys.Ticket(name); ok && first <= n && n <= last {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found, err
}

// Offer says that the entry of ticket arrived by a hint. It reports whether the entry may be taken unread: only where
// nothing below it is missing. A hint's ticket is not signed, so Lowest does not pass it before Verify.
func (r *Reader) Offer(ticket int64) bool {
	if r.settling() || len(r.holes) > 0 || ticket != max(r.next, 1) {
		return false
	}
	r.next = ticket + 1
	r.hinted = append(r.hinted, ticket)
	return true
}

// Passed reports whether ticket was looked at already and is no open hole.
func (r *Reader) Passed(ticket int64) bool {
	return ticket < r.next && !slices.ContainsFunc(r.holes, func(h hole) bool { return h.ticket == ticket })
}

// Hinted is how many entries were taken on a hint's word and not verified yet.
func (r *Reader) Hinted() int { return len(r.hinted) }

// Verify reads the entries that were taken on a hint's word. They are returned like any other. One that is absent
// becomes a hole, or, where nothing shows that its ticket was ever taken, is to be read as if there had been no hint.
func (r *Reader) Verify(ctx context.Context) ([]Entry, error) {
	hinted := r.hinted[:min(len(r.hinted), batchSize)]
	if len(hinted) == 0 {
		return nil, nil
	}
	hinted = slices.Clone(hinted)
	taken, err := r.visit(ctx, hinted)
	for last := len(r.holes) - 1; last >= 0 && r.holes[last].ticket == r.next-1 && slices.Contains(hinted, r.next-1); last-- {
		r.holes = r.holes[:last]
		r.next--
	}
	return taken, err
}

// TailKey is the key of the counter, for a caller that reads many of them in one trip.
func (r *Reader) TailKey() string { return r.Keys.Tail }

// Idle reports whether a counter that stands at tail has nothing to read.
func (r *Reader) Idle(tail int64) bool {
	return !r.settling() && len(r.holes) == 0 && len(r.audits) == 0 && tail == max(r.next, 1)-1
}

// Read returns every entry that became readable, in ascending order but for those that appeared while a hole was being
// closed. On an error the entries before it are returned with it; nothing is skipped.
func (r *Reader) Read(ctx context.Context) ([]Entry, error) {
	if r.settling() {
		if r.Now().Before(r.settle) {
			return nil, nil
		}
		if err := r.list(ctx); err != nil {
			return nil, err
		}
	}
	tail, err := r.tail(ctx)
	if err != nil {
		return nil, err
	}
	r.disown(tail)
	if was := max(r.next, 1) - 1; tail < was {
		r.fallBack(tail)
		return nil, fmt.Errorf("%w: %s is at %d, it was at %d", ErrRegressed, r.Keys.Tail, tail, was)
	}
	if err := r.audit(ctx); err != nil {
		return nil, err
	}
	if tail-r.next > farAhead {
		r.settleUpTo(tail)
		return nil, nil
	}
	taken, err := r.readTo(ctx, tail)
	if err != nil {
		return taken, err
	}
	late, err := r.closeHoles(ctx)
	return append(taken, late...), err
}

// fallBack puts the position behind a counter that went back. A hole above the counter is a hole no longer but a ticket
// still to come, from next on, which is looked at when the counter gets there. S1: nothing is hidden by that, for nothing
// passes such a ticket unread. Kept as a hole, it would be visited too early and carry next past the counter again.
func (r *Reader) fallBack(tail int64) {
	r.next = tail + 1
	r.holes = slices.DeleteFunc(r.holes, func(h hole) bool { return h.ticket > tail })
	r.Recheck()
}

// disown takes back tickets that only a hint spoke of and that the counter never gave out: the hint lied.
func (r *Reader) disown(tail int64) {
	for last := len(r.hinted) - 1; last >= 0 && r.hinted[last] > tail && r.hinted[last] == r.next-1; last-- {
		r.hinted = r.hinted[:last]
		r.next--
	}
}

func (r *Reader) readTo(ctx context.Context, tail int64) ([]Entry, error) {
	tickets := make([]int64, 0, len(r.holes)+int(tail-max(r.next, 1)+1))
	for _, h := range r.holes {
		tickets = append(tickets, h.ticket)
	}
	for n := max(r.next, 1); n <= tail; n++ {
		tickets = append(tickets, n)
	}
	var taken []Entry
	for batch := range slices.Chunk(tickets, batchSize) {
		entries, err := r.visit(ctx, batch)
		taken = append(taken, entries...)
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// visit looks at tickets in ascending order, takes what is there and notes a hole where nothing is. It stops at the
// first failure, so that no later entry overtakes an earlier one that could not be read (S6).
func (r *Reader) visit(ctx context.Context, tickets []int64) ([]Entry, error) {
	ops := make([]store.Op, len(tickets))
	for i, n := range tickets {
		ops[i] = store.GetOp(r.Keys.Entry(n))
	}
	now := r.Now()
	var taken []Entry
	defer func() { r.took(taken) }()
	for i, got := range store.Batch(ctx, r.Store, ops) {
		switch n := tickets[i]; {
		case readable(got.Err):
			taken = append(taken, Entry{n, got.Value})
		case errors.Is(got.Err, store.ErrNotFound):
			r.note(n, now)
		default:
			return taken, got.Err
		}
		r.next = max(r.next, tickets[i]+1)
	}
	return taken, nil
}

// took: these were read. There may be as many holes as the log has entries, so they are gone through once.
func (r *Reader) took(taken []Entry) {
	if len(taken) == 0 || len(r.holes)+len(r.hinted) == 0 {
		return
	}
	was := func(n int64) bool {
		_, found := slices.BinarySearchFunc(taken, n, func(e Entry, n int64) int { return cmp.Compare(e.Ticket, n) })
		return found
	}
	r.holes = slices.DeleteFunc(r.holes, func(h hole) bool { return was(h.ticket) })
	r.hinted = slices.DeleteFunc(r.hinted, was)
}

// forget: ticket n was read, or closed.
func (r *Reader) forget(n int64) {
	r.holes = slices.DeleteFunc(r.holes, func(h hole) bool { return h.ticket == n })
	if len(r.hinted) > 0 && r.hinted[0] == n { // as nearly always
		r.hinted = r.hinted[1:]
		return
	}
	r.hinted = slices.DeleteFunc(r.hinted, func(h int64) bool { return h == n })
}

func (r *Reader) note(n int64, now time.Time) {
	i, found := slices.BinarySearchFunc(r.holes, n, func(h hole, n int64) int { return int(h.ticket - n) })
	if !found {
		r.hinted = slices.DeleteFunc(r.hinted, func(h int64) bool { return h == n })
		r.holes = slices.Insert(r.holes, i, hole{n, now})
	}
}

// readable: S7, where something stands that is no string of bytes, the entry is taken without a value, and whoever opens
// it refuses it as he refuses all that he did not expect.
func readable(err error) bool { return err == nil || errors.Is(err, store.ErrWrongType) }

// closeHoles voids the tickets of writers that are late or dead. The flag is written, and only then the entry is read
// again: a writer that did not see the flag has its entry there.
func (r *Reader) closeHoles(ctx context.Context) ([]Entry, error) {
	var ops []store.Op
	var old []int64
	for _, h := range r.holes {
		if r.Now().Sub(h.since) >= r.Times.Grace && len(old) < batchSize {
			old = append(old, h.ticket)
			ops = append(ops, store.SetEXOp(r.Keys.Skip(h.ticket), []byte("1"), r.Times.Skip), store.GetOp(r.Keys.Entry(h.ticket)))
		}
	}
	var taken []Entry
	results := store.Batch(ctx, r.Store, ops)
	for i, n := range old {
		flag, entry := results[2*i], results[2*i+1]
		switch {
		case flag.Err != nil:
			return taken, flag.Err // not confirmed: the hole stays open
		case readable(entry.Err):
			taken = append(taken, Entry{n, entry.Value})
			r.forget(n)
		case errors.Is(entry.Err, store.ErrNotFound):
			r.forget(n)
		default:
			return taken, entry.Err
		}
	}
	return taken, nil
}

func (r *Reader) tail(ctx context.Context) (int64, error) {
	raw, err := r.Store.Get(ctx, r.Keys.Tail)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return ParseTail(raw, r.Keys.Tail)
}

// ParseTail reads a counter's value.
func ParseTail(raw []byte, key string) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("ticketlog: counter %s holds no number: delete it with Expire(key, 0) to start the log again", key)
	}
	return n, nil
}
