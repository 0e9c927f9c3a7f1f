package detect

import (
	"cmp"
	"slices"
	"time"
)

// member is one incarnation under watch.
type member struct {
	id          string
	incarnation int64

	seq      uint64 // of the highest beat seen; 0: none
	blurred  bool   // a later one may have come and gone unseen
	silence  span   // since that
	standing span   // how long I saw the last of the warned stand
	warned   int    // warnings that stand, from the first without a gap
	fact     []byte // the last of them

	since  time.Time // when it registered, at the earliest; zero: before this monitor began
	fresh  bool      // whether it is over was never asked
	hidden bool      // a higher incarnation joined
	dead   bool      // it is decided to be over
	tried  bool      // I proposed that, and have not seen what came of it

	handled bool // everything was done about its end

	heard heard // at this pass
	sure  bool  // at this pass: it is known not to be over

	indexed bool      // the late index holds it
	late    int       // the last pass at which it was late
	turned  int       // the first pass at which it was late, without a gap
	quiet   time.Time // when it was last on time, while all that I saw since was good; else zero
	invited int       // the last pass at which it is looked at
	watched bool      // to be read whatever the index says: it was not heard to beat
}

// heard is what a pass heard of a member.
type heard uint8

const (
	unread   heard = iota // not asked, or no answer
	nothing               // its heartbeat is absent
	noNews                // what stands there is no beat of it, or an old one
	lastBeat              // the highest beat seen still stands
	newBeat               // life
)

// over: nobody listens to its beats any more.
func (m *member) over() bool { return m.dead || m.hidden }

func order(m *member, id string, incarnation int64) int {
	return cmp.Or(cmp.Compare(m.id, id), cmp.Compare(m.incarnation, incarnation))
}

// enlist returns the member, which is added where it is new. The highest incarnation of an id hides the others, for good.
func (w *Watch) enlist(id string, incarnation int64, since time.Time) *member {
	i, known := slices.BinarySearchFunc(w.members, incarnation, func(m *member, n int64) int { return order(m, id, n) })
	if known {
		return w.members[i]
	}
	m := &member{id: id, incarnation: incarnation, since: since, fresh: true, watched: true}
	w.members = slices.Insert(w.members, i, m)
	w.index.strangers = append(w.index.strangers, m)
	w.invite(m)
	m.hidden = i+1 < len(w.members) && w.members[i+1].id == id
	for j := i - 1; j >= 0 && w.members[j].id == id; j-- {
		w.members[j].hidden = true
		w.invite(w.members[j])
	}
	return m
}

func (w *Watch) retain(keep func(*member) bool) {
	w.members = slices.DeleteFunc(w.members, func(m *member) bool { return !keep(m) })
}
