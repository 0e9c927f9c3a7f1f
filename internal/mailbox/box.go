package mailbox

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
)

// ErrSuperseded: a signal was addressed to a later incarnation of this coordinator. It must fence itself.
var ErrSuperseded = errors.New("a later incarnation of this coordinator exists")

const (
	remembered = 512 // handed-over signals that a box remembers at least: see settled; and sessions
	askAtOnce  = 256 // ACKs asked for in one trip
)

// Box is a receiver's end of its mailbox.
type Box struct {
	Post
	Self    string            // the receiver
	Me      envelope.Instance // this life of it
	Refused func(error)       // told of every record that was stepped over; may be nil
	Legacy  Legacy            // off by default

	generation string
	reader     ticketlog.Reader
	inbox      []*Delivery        // read and not handed over, by ticket
	handed     map[name]*Delivery // handed over by this incarnation
	pending    []*Delivery        // those of handed whose ACK is not confirmed
	unread     []entry            // taken on a hint's word and to be read again, by ticket
	known      []*Delivery        // handed over and settled, the oldest first
	floors     map[string]uint64  // by session: the highest seq that was forgotten
	forgot     time.Time          // floors were forgotten of signals that were written before this
	again      []*Delivery        // their ACKs have to be written once more
	done       []int64            // consumed tickets whose entries are to be deleted
	dirty      bool               // the cursor may have moved since it was written
	pass       int
	rumour     int64 // the highest incarnation that a signal was addressed to, while that is to be checked
	superseded bool
}

// name tells signals apart: an id is unique within its sender only, as the key of its ACK says too.
type name struct{ sender, id string }

func nameOf(s *envelope.Signal) name { return name{s.Sender, s.ID} }

// admit takes in the entry that stands under ticket.
func (b *Box) admit(ticket int64, data []byte) {
	s, err := b.openEntry(ticket, data)
	if err != nil {
		b.refuse(err)
		b.consume(ticket) // S7: stepped over
		return
	}
	b.rumour = max(b.rumour, s.To.Incarnation)
	if d := b.handed[nameOf(s)]; d != nil {
		b.double(d, ticket)
		return
	}
	if i := b.waiting(s); i >= 0 {
		b.inbox[i].tickets = append(b.inbox[i].tickets, ticket)
		return
	}
	b.insert(&Delivery{Signal: s, Ticket: ticket, tickets: []int64{ticket}, ask: !b.mine(s), asked: -1})
}

func (b *Box) knows(s *envelope.Signal) bool { return b.handed[nameOf(s)] != nil || b.waiting(s) >= 0 }

// waiting is the place of s in the inbox, or -1.
func (b *Box) waiting(s *envelope.Signal) int {
	return slices.IndexFunc(b.inbox, func(d *Delivery) bool { return nameOf(d.Signal) == nameOf(s) })
}

func (b *Box) insert(d *Delivery) {
	at, _ := slices.BinarySearchFunc(b.inbox, d.Ticket, func(d *Delivery, t int64) int { return int(d.Ticket - t) })
	b.inbox = slices.Insert(b.inbox, at, d)
}

// entry is what a hint says that stands under a ticket.
type entry struct {
	ticket int64
	data   []byte
	signal *envelope.Signal // what is in data, verified
}

// openEntry is open, but what a hint had brought to the same place, to the byte, is not verified a second time.
func (b *Box) openEntry(ticket int64, data []byte) (*envelope.Signal, error) {
	i, ok := slices.BinarySearchFunc(b.unread, ticket, func(e entry, t int64) int { return int(e.ticket - t) })
	if !ok {
		return b.open(data)
	}
	e := b.unread[i]
	if b.unread[i] = (entry{ticket: ticket}); i == len(b.unread)-1 {
		b.unread = b.unread[:0] // entries are read in order, so this was the last
	}
	if !bytes.Equal(e.data, data) {
		return b.open(data)
	}
	return e.signal, b.checkTime(e.signal)
}

func (b *Box) open(data []byte) (*envelope.Signal, error) {
	s, err := envelope.OpenSignal(b.Ring, b.Self, data)
	if err != nil {
		return nil, err
	}
	return s, b.checkTime(s)
}

func (b *Box) checkTime(s *envelope.Signal) error {
	return envelope.CheckTime(s.Time, b.Now(), b.Times.Ack, b.Times.MaxAhead)
}

func (b *Box) refuse(err error) {
	if b.Refused != nil {
		b.Refused(err)
	}
}

// mine reports whether s cannot have been consumed by anybody but me: it was addressed to my session, so it was written
// after I joined, and its id is as young as that. What I handed over myself, I remember, or it is below the floor.
func (b *Box) mine(s *envelope.Signal) bool {
	return s.To == b.Me && s.Round == "" && s.Seq > b.floors[s.Session] && s.Time.After(b.forgot)
}

// double: an entry of a signal that I handed over. It is consumed when the first is acknowledged, and asks for the ACK
// again: its sender did not see it, perhaps because the store lost it.
func (b *Box) double(d *Delivery, ticket int64) {
	first := d.hinted
	d.hinted = false
	if !d.acked {
		d.tickets = append(d.tickets, ticket)
		return
	}
	b.consume(ticket)
	if !first && d.sealed != nil && !slices.Contains(b.again, d) {
		b.again = append(b.again, d)
	}
}

func (b *Box) consume(tickets ...int64) {
	b.done = append(b.done, tickets...)
	b.dirty = true
}

// Hint takes in the signal of a hint without a read, where that is safe: it is addressed to this very session, and
// nothing before it is missing. It reports whether the hint is dealt with; if not, a Read is needed.
func (b *Box) Hint(payload []byte) bool {
	space := slices.Index(payload[:min(len(payload), 20)], ' ')
	if space < 1 || b.superseded {
		return false
	}
	ticket, err := strconv.ParseInt(string(payload[:space]), 10, 64)
	if err != nil || ticket < 1 {
		return false
	}
	if b.reader.Passed(ticket) {
		return true
	}
	s, err := b.open(payload[space+1:])
	if err != nil || !b.mine(s) || b.knows(s) || !b.reader.Offer(ticket) {
		return false
	}
	b.insert(&Delivery{Signal: s, Ticket: ticket, hinted: true})
	if last := len(b.unread) - 1; last < 0 || b.unread[last].ticket < ticket && last < 2*remembered {
		b.unread = append(b.unread, entry{ticket, payload[space+1:], s})
	}
	return true
}

// Take hands over the first signal in order that match accepts. ask reports that the caller has to Ask first: an
// earlier incarnation may have acknowledged a signal that match accepts.
func (b *Box) Take(match func(*envelope.Signal) bool) (d *Delivery, ask bool) {
	if b.superseded || b.rumour > b.Me.Incarnation {
		return nil, false
	}
	i := slices.IndexFunc(b.inbox, func(d *Delivery) bool { return match(d.Signal) })
	if i < 0 {
		return nil, false
	}
	d = b.inbox[i]
	if d.ask && d.asked != b.pass {
		return nil, true
	}
	b.inbox = slices.Delete(b.inbox, i, i+1)
	b.remember(d)
	return d, false
}

func (b *Box) remember(d *Delivery) {
	if b.handed == nil {
		b.handed, b.floors = map[name]*Delivery{}, map[string]uint64{}
	}
	b.handed[nameOf(d.Signal)] = d
	b.pending = append(b.pending, d)
}

func (b *Box) unpend(d *Delivery) {
	b.pending = slices.DeleteFunc(b.pending, func(o *Delivery) bool { return o == d })
}

// Return takes back a delivery that was handed over and is to be delivered again.
func (b *Box) Return(d *Delivery) {
	if b.handed[nameOf(d.Signal)] == d && d.sealed == nil {
		delete(b.handed, nameOf(d.Signal))
		b.unpend(d)
		b.insert(d)
	}
}

// Waiting is how many signals were read and not handed over.
func (b *Box) Waiting() int { return len(b.inbox) }

// Superseded reports whether a later incarnation was seen.
func (b *Box) Superseded() bool { return b.superseded }

// settled: the ACK of d is confirmed, by whomever it was written. Everything read of it is consumed.
func (b *Box) settled(d *Delivery) {
	if d.acked {
		return
	}
	d.acked = true
	b.unpend(d)
	b.consume(d.tickets...)
	d.tickets = nil
	if b.known = append(b.known, d); len(b.known) == 2*remembered {
		b.forgetOldest()
	}
}

// forgetOldest forgets many at once, so that hardly any signal has to wait for that.
func (b *Box) forgetOldest() {
	for _, d := range b.known[:remembered] {
		b.forget(d.Signal)
	}
	b.known = slices.Delete(b.known, 0, remembered)
}

// forget: below the floor, the ACK is asked. So it is for whatever may have had a floor that was forgotten: that was
// admitted before now, so it was written before the latest time that was admissible.
func (b *Box) forget(s *envelope.Signal) {
	delete(b.handed, nameOf(s))
	if len(b.floors) >= remembered {
		b.floors, b.forgot = map[string]uint64{}, b.Now().Add(b.Times.MaxAhead)
	}
	b.floors[s.Session] = max(b.floors[s.Session], s.Seq)
}
