package memstore

import "math"

// never is the deadline of a key without a time to live.
const never = math.MaxInt64

// To reap the dead, two entries are looked at for each one that is added: that keeps the dead from outnumbering the
// living for long, at a constant cost. Many are looked at at once, since neighbours are read faster than strangers.
const (
	adds  = 32 // from one sweep to the next
	looks = 2 * adds
)

// entry is a key with its value and its deadline, in nanoseconds since the store's epoch.
type entry struct {
	key      string
	value    []byte // owned by the entry; never handed out
	deadline int64
	place    int // where the entry stands in table.all
}

// table holds the keys. It expires lazily: what is dead is removed when it is met, by name or by the sweep. The slice
// beside the map lets the sweep go round in constant steps; a half-empty Go map cannot be sampled in constant time.
type table struct {
	byKey map[string]*entry
	all   []*entry
	hand  int // where the sweep goes on
	added int // how many entries ever were
}

// find returns the live entry of key, or nil. At its deadline an entry is still alive.
func (t *table) find(key string, now int64) *entry {
	e := t.byKey[key]
	if e == nil || now <= e.deadline {
		return e
	}
	t.remove(e)
	return nil
}

// findOrAdd returns the live entry of key, or a new empty one without a time to live.
func (t *table) findOrAdd(key string, now int64) *entry {
	if e := t.find(key, now); e != nil {
		return e
	}
	return t.add(key, now)
}

func (t *table) add(key string, now int64) *entry {
	if t.added++; t.added%adds == 0 {
		t.sweep(now)
	}
	e := &entry{key: key, deadline: never, place: len(t.all)}
	t.byKey[key] = e
	t.all = append(t.all, e)
	return e
}

// remove takes e out; the last entry moves into its place.
func (t *table) remove(e *entry) {
	delete(t.byKey, e.key)
	last := len(t.all) - 1
	t.all[e.place] = t.all[last]
	t.all[e.place].place = e.place
	t.all[last] = nil
	t.all = t.all[:last]
}

// sweep removes the dead among the next few entries.
func (t *table) sweep(now int64) {
	for range looks {
		if t.hand >= len(t.all) {
			t.hand = 0
		}
		if t.hand == len(t.all) {
			return
		}
		if e := t.all[t.hand]; e.deadline < now {
			t.remove(e) // another entry may stand here now: the hand stays
		} else {
			t.hand++
		}
	}
}
