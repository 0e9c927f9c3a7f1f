package coord

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/mailbox"
)

const slowest = 30 * time.Second // between two posts, or two looks for an ACK, of one signal

// outgoing is a signal that is not acknowledged yet.
type outgoing struct {
	signal   *envelope.Signal
	message  envelope.Signal // what signal points to
	to       mailbox.Address
	sealed   []byte
	attempts int
	posted   atomic.Bool   // the store has confirmed that it stands in the mailbox
	look     time.Time     // when a poll is to look for its ACK
	pause    time.Duration // until the look after that
	gone     time.Time     // when its entry is
	refused  []byte        // what stood there instead of its ACK

	span                // of the Send that blocks on it
	news  chan struct{} // asks that Send to look at ack, the clock and its span; nil where it is a Post
	until time.Time     // when that Send gives up; zero: not known yet
	again time.Time     // when it posts once more; zero: it is posting
	ack   atomic.Pointer[envelope.Ack]

	failing bool // the store has failed that Send, whose goroutine alone uses this
}

func (o *outgoing) awaited() bool { return o.news != nil }

// nudge has the Send look up, unless it is going to anyway.
func (o *outgoing) nudge() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// outbox keeps what a coordinator has sent until it is acknowledged: so that a store that lost its data loses nothing
// whose sender lives.
type outbox struct {
	coordinator *Coordinator

	mu    sync.Mutex
	seq   uint64
	open  []*outgoing // in the order of their seq
	peers map[string]*peer
	alarm alarm // of the Sends among open
	ended error // why nothing is sent any more
}

// peer is what is known of a receiver.
type peer struct {
	instance envelope.Instance // as last seen in an ACK
	address  mailbox.Address
}

func (b *outbox) init(a *Coordinator) {
	b.coordinator, b.peers = a, map[string]*peer{}
	b.alarm = alarm{clock: a.client.Clock, ring: b.ring}
}

// compose completes the signal in o, and keeps it. ErrMailboxFull if too many are open; why this incarnation has ended, if
// it has: nobody would look for the ACK, or end the Send, of what is kept after that.
func (b *outbox) compose(o *outgoing) error {
	c, s := b.coordinator.client, &o.message
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		return fmt.Errorf("%s: %w", b.coordinator.id, b.ended)
	}
	if n := b.count(s.Receiver); n >= c.MailboxLimit {
		return fmt.Errorf("%w: %s has %d signals that %s has not acknowledged", ErrMailboxFull, s.Sender, n, s.Receiver)
	}
	to := b.peer(s.Receiver)
	b.seq++
	s.Seq, s.Time, s.To = b.seq, c.Clock.Now(), to.instance
	sealed, err := envelope.AppendSignal(nil, c.ring, s)
	if err != nil {
		return fmt.Errorf("signal to %s: %w", s.Receiver, err)
	}
	o.signal, o.sealed, o.to, o.pause = s, sealed, to.address, c.Poll
	o.look, o.gone = s.Time.Add(c.Poll), s.Time.Add(c.times.Log.Entry)
	b.open = append(b.open, o)
	return nil
}

// peer is called with the lock held.
func (b *outbox) peer(id string) *peer {
	p := b.peers[id]
	if p == nil {
		post := b.coordinator.client.post(nil)
		p = &peer{address: post.Address(id)}
		b.peers[id] = p
	}
	return p
}

// await sets the time at which the Send of o gives up, and when it is nudged to post again.
func (b *outbox) await(o *outgoing, until, again, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.until, o.again = until, again
	if o.Err() == nil {
		b.alarm.by(o.next(now), now)
	}
}

// next is when o's Send is to be told something, after now.
func (o *outgoing) next(now time.Time) time.Time {
	if now.Before(o.again) && o.again.Before(o.until) {
		return o.again
	}
	return o.until
}

// ring tells the Sends whose time has come.
func (b *outbox) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.alarm.stop()
	now := b.coordinator.client.Clock.Now()
	for _, o := range b.open {
		if o.awaited() && !o.until.IsZero() {
			b.remind(o, now)
		}
	}
}

func (b *outbox) remind(o *outgoing, now time.Time) {
	if !now.Before(o.until) {
		o.end(ErrTimeout)
		o.nudge()
		return
	}
	if !now.Before(o.again) {
		o.nudge()
	}
	b.alarm.by(o.next(now), now)
}

// abandon ends every Send with cause; nothing is sent after that.
func (b *outbox) abandon(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = cause
	for _, o := range b.open {
		if o.awaited() {
			o.end(cause)
			o.nudge()
		}
	}
	b.alarm.stop()
}

// attempt returns what to post, which changes when the store has lost its data, and for the how manieth time.
func (b *outbox) attempt(o *outgoing) (sealed []byte, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.attempts++
	return o.sealed, o.attempts
}

func (b *outbox) count(receiver string) (n int) {
	for _, o := range b.open {
		if o.signal.Receiver == receiver {
			n++
		}
	}
	return n
}

// drop forgets o: it is acknowledged, or nobody cares any more.
func (b *outbox) drop(o *outgoing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.open, o); i >= 0 {
		b.open = slices.Delete(b.open, i, i+1)
	}
	if !slices.ContainsFunc(b.open, (*outgoing).awaited) {
		b.alarm.rest()
	}
}

// hint takes in an ACK that came as a hint.
func (b *outbox) hint(payload []byte) {
	id, sealed, ok := bytes.Cut(payload[1:], []byte{' '})
	if !ok {
		return
	}
	b.mu.Lock()
	i := slices.IndexFunc(b.open, func(o *outgoing) bool { return o.signal.ID == string(id) })
	var o *outgoing
	if i >= 0 {
		o = b.open[i]
	}
	b.mu.Unlock()
	if o != nil {
		b.answered(o, sealed)
	}
}

// answered takes in what stands, or is said to stand, where o's ACK is to stand. What is no true ACK of o is told of
// once, however often it is read.
func (b *outbox) answered(o *outgoing, value []byte) {
	c := b.coordinator.client
	post := c.post(c.store)
	ack := post.OpenAck(o.signal, value, func(err error) {
		if b.newRefusal(o, value) {
			b.coordinator.refused(err)
		}
	})
	if ack != nil {
		b.acknowledged(o, ack)
	}
}

func (b *outbox) newRefusal(o *outgoing, value []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := o.refused != nil && bytes.Equal(o.refused, value)
	o.refused = append([]byte{}, value...)
	return !known
}

// acknowledged: the receiver has o. Its instance is where the next signal is addressed to.
func (b *outbox) acknowledged(o *outgoing, ack *envelope.Ack) {
	b.drop(o)
	b.mu.Lock()
	if p := b.peer(ack.Receiver); ack.Incarnation >= p.instance.Incarnation {
		p.instance = envelope.Instance{Incarnation: ack.Incarnation, Session: ack.Session}
	}
	b.mu.Unlock()
	o.ack.Store(ack)
	o.nudge()
}

// due lists the signals whose ACK is to be looked for now, and forgets those that are gone.
func (b *outbox) due(now time.Time) (due []*outgoing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o *outgoing) bool { return !o.awaited() && now.After(o.gone) })
	if !slices.ContainsFunc(b.open, (*outgoing).awaited) {
		b.alarm.stop() // W6
	}
	for _, o := range b.open {
		if !now.Before(o.look) {
			due = append(due, o)
			if !o.awaited() {
				o.pause = min(2*o.pause, slowest)
			}
			o.look = now.Add(o.pause)
		}
	}
	return due
}

func (b *outbox) all() []*outgoing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.open)
}

// readdress: the store has lost its data, so incarnations begin anew and what was known of the receivers is void.
func (b *outbox) readdress() []*outgoing {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.peers)
	for _, o := range b.open {
		s := *o.signal
		s.To = envelope.Instance{}
		o.sealed, _ = envelope.AppendSignal(nil, b.coordinator.client.ring, &s) // it was sealed before, and was longer
	}
	return slices.Clone(b.open)
}
