package coord

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
)

const slowest = 30 * time.Second // between two posts, or two looks for an ACK, of one signal

// outgoing is a signal that is not acknowledged yet.
type outgoing struct {
	signal   *envelope.Signal
	sealed   []byte
	awaited  bool               // a Send blocks on it
	ack      chan *envelope.Ack // one, buffered
	attempts int
	answered atomic.Bool   // the store has confirmed a post, or answered a look
	look     time.Time     // when a poll is to look for its ACK
	pause    time.Duration // until the look after that
	end      time.Time     // when its entry is gone
	refused  []byte        // what stood there instead of its ACK
}

// outbox keeps what a coordinator has sent until it is acknowledged: so that a store that lost its data loses nothing
// whose sender lives.
type outbox struct {
	coordinator *Coordinator

	mu    sync.Mutex
	seq   uint64
	open  []*outgoing // in the order of their seq
	peers map[string]envelope.Instance
}

// compose makes the next signal to a receiver, and keeps it. ErrMailboxFull if too many are open.
func (b *outbox) compose(s envelope.Signal, awaited bool) (*outgoing, error) {
	c := b.coordinator.client
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.count(s.Receiver); n >= c.MailboxLimit {
		return nil, fmt.Errorf("%w: %s has %d signals that %s has not acknowledged", ErrMailboxFull, s.Sender, n, s.Receiver)
	}
	b.seq++
	s.Seq, s.Time, s.To = b.seq, c.Clock.Now(), b.peers[s.Receiver]
	sealed, err := envelope.AppendSignal(nil, c.ring, &s)
	if err != nil {
		return nil, fmt.Errorf("signal to %s: %w", s.Receiver, err)
	}
	o := &outgoing{signal: &s, sealed: sealed, awaited: awaited, ack: make(chan *envelope.Ack, 1), pause: c.Poll}
	o.look, o.end = s.Time.Add(c.Poll), s.Time.Add(c.times.Log.Entry)
	b.open = append(b.open, o)
	return o, nil
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
	if b.peers == nil {
		b.peers = map[string]envelope.Instance{}
	}
	if known := b.peers[ack.Receiver]; ack.Incarnation >= known.Incarnation {
		b.peers[ack.Receiver] = envelope.Instance{Incarnation: ack.Incarnation, Session: ack.Session}
	}
	b.mu.Unlock()
	select {
	case o.ack <- ack:
	default: // it has one
	}
}

// due lists the signals whose ACK is to be looked for now, and forgets those that are gone.
func (b *outbox) due(now time.Time) (due []*outgoing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o *outgoing) bool { return !o.awaited && now.After(o.end) })
	for _, o := range b.open {
		if !now.Before(o.look) {
			due = append(due, o)
			if !o.awaited {
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
	b.peers = nil
	for _, o := range b.open {
		s := *o.signal
		s.To = envelope.Instance{}
		o.sealed, _ = envelope.AppendSignal(nil, b.coordinator.client.ring, &s) // it was sealed before, and was longer
	}
	return slices.Clone(b.open)
}
