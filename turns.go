package coord

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

// flushAt is how many consumed signals have the cursor written without waiting for the next poll. A flush holds up the
// signal that comes meanwhile, so there should be far less than one in a hundred that it does: the garbage collector
// holds up others.
const flushAt = 512

// turns gives the box to one goroutine at a time, without a lock while that one uses the store: whoever comes meanwhile
// leaves his job and goes. It has no goroutine while there is nothing to do.
type turns struct {
	coordinator *Coordinator
	box         *mailbox.Box // of whoever set busy

	mu      sync.Mutex
	busy    bool
	jobs    []job           // in memory only
	spare   []job           // for the jobs of the round after this one
	read    bool            // the store is to be read
	flush_  bool            // the cursor is to be written
	after   []func()        // to be run after a read that begins from now on
	current bool            // the last read succeeded and no hint was ignored since
	waiters []*waiter       // in the order in which they came
	alarm   alarm           // of the waiters
	wishes  wishes          // of whoever set busy
	closing bool            // Leave has begun: nobody serves any more
	calls   int             // of handlers, under way
	quiet   []chan struct{} // to be closed when there are none
	server  *server
	paused  map[*mailbox.Delivery]func() bool // stops the timers of what is to be delivered again
	ended   error
}

func (t *turns) init(a *Coordinator) {
	t.coordinator = a
	t.box = a.newBox(a.client.once)
	t.alarm = alarm{clock: a.client.Clock, ring: t.ring}
}

// job is something to be done with the box. Those that come with every signal are spared a closure.
type job struct {
	do       func(t *turns, j *job)
	payload  []byte
	delivery *mailbox.Delivery
	other    func(*mailbox.Box)
}

func (t *turns) other(j *job) { j.other(t.box) }

// look has the box searched for those who wait.
func (t *turns) look(*job) {}

// do has f done with the box, soon, without blocking the caller on the store.
func (t *turns) do(f func(*mailbox.Box)) { t.leave(job{do: (*turns).other, other: f}) }

func (t *turns) leave(j job) {
	t.mu.Lock()
	t.jobs = append(t.jobs, j)
	t.turn(false)
}

// pass has the store read; after is called when that is over. The caller is blocked on the store only where it may be.
func (t *turns) pass(after func(), mayBlock bool) {
	t.mu.Lock()
	t.read = true
	t.after = append(t.after, after)
	t.turn(mayBlock)
}

// turn is called with the lock held and returns without it. It does what there is to do, unless somebody is at it.
func (t *turns) turn(mayBlock bool) {
	if t.busy {
		t.mu.Unlock()
		return
	}
	t.busy = true
	for t.something() {
		if (t.read || t.flush_) && !mayBlock {
			t.mu.Unlock()
			if t.coordinator.client.run(func() { t.mu.Lock(); t.busy = false; t.turn(true) }) {
				return // the box is theirs
			}
			t.mu.Lock()
			t.read, t.flush_ = false, false // closed
			continue
		}
		t.round()
	}
	t.busy = false
	t.mu.Unlock()
}

func (t *turns) something() bool { return len(t.jobs) > 0 || t.read || t.flush_ }

// round takes what is there and does it without the lock.
func (t *turns) round() {
	jobs, read, flush, after := t.jobs, t.read, t.flush_, t.after
	t.jobs, t.read, t.flush_ = t.spare, false, false
	t.spare = nil
	if read {
		t.after = nil
	}
	t.mu.Unlock()
	for i := range jobs {
		jobs[i].do(t, &jobs[i])
	}
	t.deliverOrRead(read)
	if flush {
		_ = t.box.Flush(t.coordinator.life) // it may come late: the next flush does it
	}
	if read {
		for _, f := range after {
			f()
		}
	}
	clear(jobs)
	t.mu.Lock()
	t.spare = jobs[:0]
}

// deliverOrRead hands over what is in memory; the store is read where that was asked for, or where an earlier
// incarnation may have acknowledged what somebody waits for.
func (t *turns) deliverOrRead(read bool) {
	ask := t.deliver()
	if !read {
		if ask {
			t.want()
		}
		return
	}
	err := errors.Join(t.box.Read(t.coordinator.life), t.box.ReadLegacy(t.coordinator.life))
	for t.deliver() && err == nil {
		err = t.box.Ask(t.coordinator.life, t.wishes.match)
	}
	t.box.Rest()
	t.writeAgain()
	t.judge(err)
}

func (t *turns) want() {
	t.mu.Lock()
	t.read = true
	t.mu.Unlock()
}

// judge draws the consequences of a read.
func (t *turns) judge(err error) {
	c := t.coordinator.client
	t.mu.Lock()
	t.current = err == nil && c.hints != nil
	for _, w := range t.waiters {
		w.answered = w.answered || err == nil
	}
	t.mu.Unlock()
	switch {
	case errors.Is(err, mailbox.ErrSuperseded):
		t.coordinator.fence()
	case errors.Is(err, ticketlog.ErrRegressed):
		c.run(func() { c.regressed(err) })
	}
}

// writeAgain: doubles of acknowledged signals mean that a sender does not see the ACK.
func (t *turns) writeAgain() {
	for _, d := range t.box.Again() {
		t.coordinator.client.acks.add(t.coordinator, d)
	}
}

// deliver hands over everything in memory that somebody wants; ask reports that the ACKs of earlier incarnations have
// to be looked at first.
func (t *turns) deliver() (ask bool) {
	for {
		t.listen()
		d, ask := t.box.Take(t.wishes.match)
		if d == nil {
			return ask
		}
		if !t.hand(d) {
			t.box.Return(d) // who wanted it has gone meanwhile; W4: nothing is consumed
		}
	}
}

// wishes are those who want signals, as they were at one moment. S6: if somebody came while the mailbox is searched, he
// would get the next signal of it and not the first. He has left a job, so he is listened to next.
type wishes struct {
	waiters []*waiter
	server  *server // where it is free
}

// listen is for the owner of the box.
func (t *turns) listen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.wishes.waiters)
	t.wishes.waiters = append(t.wishes.waiters[:0], t.waiters...)
	t.wishes.server = nil
	if t.server.free() {
		t.wishes.server = t.server
	}
}

func (w *wishes) match(s *envelope.Signal) bool {
	return w.server != nil && w.server.matches(s) || slices.ContainsFunc(w.waiters, func(w *waiter) bool { return w.matches(s) })
}

// hand gives d to the first matching wait, or else to the handler, if they still want it. S4: the ACK follows that.
func (t *turns) hand(d *mailbox.Delivery) bool {
	return t.handToWait(d) || t.handToServer(d)
}

func (t *turns) handToWait(d *mailbox.Delivery) bool {
	for _, w := range t.wishes.waiters {
		if w.matches(d.Signal) && t.withdraw(w) {
			w.give(outcomeOf{signal: public(d)})
			t.coordinator.handedOver(d)
			t.coordinator.acknowledge(d, nil, nil)
			return true
		}
	}
	return false
}

// hint takes in what another process says it has written.
func (t *turns) hint(payload []byte) {
	t.leave(job{do: (*turns).hinted, payload: payload})
}

func (t *turns) hinted(j *job) {
	if j.payload == nil || !t.box.Hint(j.payload) {
		t.stale()
	}
}

// stale: there may be something to read. It is read at once if anybody cares.
func (t *turns) stale() {
	t.mu.Lock()
	t.current = false
	t.read = t.read || len(t.waiters) > 0 || t.server != nil
	t.mu.Unlock()
}

// polledLegacy takes in the value of the legacy slot, nil where it is absent.
func (t *turns) polledLegacy(slot []byte) {
	t.mu.Lock()
	t.jobs = append(t.jobs, job{do: (*turns).other, other: func(b *mailbox.Box) {
		if b.NewLegacy(slot) {
			t.stale()
		}
	}})
	t.turn(true)
}

// polled takes in the value of the tail, nil where it is absent.
func (t *turns) polled(tail []byte) {
	t.mu.Lock()
	t.jobs = append(t.jobs, job{do: (*turns).idle, payload: tail})
	t.turn(true)
}

func (t *turns) idle(j *job) {
	if !t.box.Idle(j.payload) {
		t.stale()
	} else {
		t.answered()
	}
	if t.box.Owed() > 0 {
		t.wantFlush()
	}
}

func (t *turns) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.waiters {
		w.answered = true
	}
}

func (t *turns) wantFlush() {
	t.mu.Lock()
	t.flush_ = true
	t.mu.Unlock()
}

// confirm: the store confirmed d's ACK.
func (t *turns) confirm(d *mailbox.Delivery) {
	t.leave(job{do: (*turns).confirmed, delivery: d})
}

func (t *turns) confirmed(j *job) {
	t.box.Confirm(j.delivery)
	j.delivery.Trim()
	if t.box.Owed() >= flushAt {
		t.wantFlush()
	}
}

// again delivers d once more, after a pause.
func (t *turns) again(d *mailbox.Delivery, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return
	}
	if t.paused == nil {
		t.paused = map[*mailbox.Delivery]func() bool{}
	}
	t.paused[d] = t.coordinator.client.Clock.AfterFunc(pause, func() { t.resume(d) })
}

func (t *turns) resume(d *mailbox.Delivery) {
	t.mu.Lock()
	delete(t.paused, d)
	t.mu.Unlock()
	c := t.coordinator.client
	if c.enter() {
		defer c.background.Done()
		t.do(func(b *mailbox.Box) { b.Return(d) })
	}
}

// flush writes the cursor now.
func (t *turns) flush(ctx context.Context) error {
	done := make(chan error, 1)
	t.mu.Lock()
	t.flush_ = true // so that the job's turn may block
	t.jobs = append(t.jobs, job{do: (*turns).other, other: func(b *mailbox.Box) { done <- b.Flush(ctx) }})
	t.turn(true)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// interested reports whether a poll has a reason to look at the mailbox.
func (t *turns) interested() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 {
		t.alarm.stop() // W6
	}
	return len(t.waiters) > 0 || t.server != nil
}

// abandon ends every wait with cause.
func (t *turns) abandon(cause error) {
	t.mu.Lock()
	waiters := t.waiters
	paused := t.paused
	t.waiters, t.server, t.paused = nil, nil, nil
	t.ended = cause
	t.alarm.stop()
	t.mu.Unlock()
	for _, stop := range paused {
		stop() // W6
	}
	for _, w := range waiters {
		w.give(outcomeOf{err: cause})
	}
}

// recover has everything read again, at once if anybody cares.
func (t *turns) recover(generation string) {
	t.do(func(b *mailbox.Box) {
		b.Recover(generation)
		t.stale()
	})
}
