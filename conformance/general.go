package conformance

import (
	"fmt"
	"reflect"

	"github.com/blocking-coordination/coord/store"
)

func hasClock(have inventory) bool { return have.caps.Clock != nil }

func hasOnce(have inventory) bool { return have.caps.Once != nil }

func canReopen(have inventory) bool { return have.reopen }

// generalRules are about a driver's capabilities as such, and about the smallest of them.
var generalRules = []rule{
	{
		name:  "capabilities-stay",
		why:   "Capabilities returns the same members on every call: they are looked up once and kept.",
		check: checkCapabilitiesStay,
	},
	{
		name:  "the-clock-agrees-with-the-deadlines",
		why:   "The clock of a driver that has one is the clock by which its keys die, so that the two cannot differ.",
		needs: hasClock,
		check: checkClock,
	},
	{
		name:  "once-is-the-same-store",
		why:   "Once is the same store in a hurry: beats written through it are read by all.",
		needs: hasOnce,
		check: checkOnce,
	},
}

var reopenRules = []rule{
	{
		name:  "another-client-sees-the-data",
		why:   "Two clients of the same data see the same keys, values and times to live; nothing is kept in the client.",
		needs: canReopen,
		check: checkReopen,
	},
	{
		name:  "clients-share-counters",
		why:   "Two calls of Incr never return the same number, whichever client makes them, and whatever another does meanwhile.",
		needs: canReopen,
		check: checkSharedCounter,
	},
}

func checkCapabilitiesStay(p *probe) {
	again := reflect.ValueOf(store.CapabilitiesOf(p.instance.Store))
	first := reflect.ValueOf(p.caps)
	for i := range first.NumField() {
		if !same(first.Field(i), again.Field(i)) {
			p.Fatalf("the capability %s differs from one call to the next", first.Type().Field(i).Name)
		}
	}
}

// same compares two interfaces; of types that cannot be compared, that they are the same type.
func same(a, b reflect.Value) bool {
	if a.IsNil() || b.IsNil() || !a.Comparable() || !b.Comparable() {
		return a.IsNil() == b.IsNil() && (a.IsNil() || a.Elem().Type() == b.Elem().Type())
	}
	return a.Equal(b)
}

func checkClock(p *probe) {
	before := p.caps.Clock.Now()
	p.advance(hour)
	if passed := p.caps.Clock.Now().Sub(before); passed < hour || passed > 2*hour {
		p.Fatalf("after Advance(%v) the store's clock shows %v more", hour, passed)
	}
}

func checkOnce(p *probe) {
	p.must(p.caps.Once.SetEX(p.ctx, key("k"), []byte("41"), hour))
	p.wantIncr(key("k"), 42)
	got, err := p.caps.Once.Get(p.ctx, key("k"))
	p.must(err)
	if string(got) != "42" {
		p.Fatalf("Once reads %q, want 42", got)
	}
}

// second is a probe of another client of the same data.
func (p *probe) second() *probe {
	other := *p
	reopened := p.instance.Reopen()
	other.store, other.caps = p.client(reopened), store.CapabilitiesOf(reopened)
	return &other
}

func checkReopen(p *probe) {
	p.setex(key("short"), "v", 10*minute)
	p.setex(key("long"), "v", 10*hour)
	p.wantIncr(key("n"), 1)
	other := p.second()
	other.wantKeys(key(""), key("short"), key("long"), key("n"))
	other.wantIncr(key("n"), 2)
	other.setex(key("theirs"), "v", 10*hour)
	p.advance(hour)
	for _, client := range []*probe{p, other} {
		client.wantMissing(key("short"))
		client.wantValue(key("long"), "v")
		client.wantValue(key("theirs"), "v")
		client.wantValue(key("n"), "2")
	}
}

func checkSharedCounter(p *probe) {
	both := p.both()
	p.often(1, func(round int) { p.countAll(both, key(fmt.Sprint("n", round))) })
}
