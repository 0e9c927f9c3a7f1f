package conformance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/blocking-coordination/coord/store"
)

var raceRules = []rule{
	{
		name: "a-race-has-an-order",
		why: "Of Incr and another operation on the same key one comes first: neither undoes the other, its value or its " +
			"time to live.",
		check: checkRaces,
	},
	{
		name: "a-batch-keeps-order-across-keys",
		why: "Batch does operations of one hash tag in their order, also on different keys: who writes an entry and then " +
			"looks for the flag, and who writes the flag and then looks for the entry, must not both find nothing.",
		check: checkBatchAcross,
	},
}

// race is between an Incr of 5, which lives for ten minutes, and a rival.
type race struct {
	rival string
	run   func(p *probe, name string) error
	left  map[int64]string // what Incr returned, and what is left after both: empty for nothing
}

var races = []race{
	{"Expire for an hour", func(p *probe, name string) error { return p.tryExpire(name, true) }, map[int64]string{6: "6"}},
	{"a deletion", func(p *probe, name string) error { return p.tryExpire(name, false) }, map[int64]string{6: "", 1: "1"}},
	{"SetEX of 100", func(p *probe, name string) error {
		return p.store.SetEX(p.ctx, name, []byte("100"), hour)
	}, map[int64]string{6: "100", 101: "101"}},
}

func (p *probe) tryExpire(name string, prolong bool) error {
	ttl := hour
	if !prolong {
		ttl = 0
	}
	ok, err := p.store.Expire(p.ctx, name, ttl)
	if err == nil && !ok {
		err = errors.New("Expire reports that a key is missing that is there")
	}
	return err
}

// checkRaces has each client race its neighbour, in several rounds.
func checkRaces(p *probe) {
	both := p.both()
	for _, r := range races {
		var names []string
		var got []int64
		p.often(rounds/2, func(int) {
			n, g := p.race(both, r, len(names))
			names, got = append(names, n...), append(got, g...)
		})
		for _, later := range []string{"", " half an hour later"} {
			for i, name := range names {
				p.wantLeft(r, name, got[i], later)
			}
			p.advance(30 * minute)
		}
	}
}

func (p *probe) race(both []*probe, r race, first int) (names []string, got []int64) {
	names, got = make([]string, clients/2), make([]int64, clients/2)
	for i := range names {
		names[i] = key(fmt.Sprint(strings.Fields(r.rival)[0], first+i))
		p.setex(names[i], "5", 10*minute)
	}
	p.each(clients, func(i int) (err error) {
		if i%2 == 1 {
			return r.run(both[len(both)-1], names[i/2])
		}
		got[i/2], err = p.store.Incr(p.ctx, names[i/2])
		return err
	})
	return names, got
}

func (p *probe) wantLeft(r race, name string, n int64, later string) {
	p.Helper()
	want, ok := r.left[n]
	if !ok {
		p.Fatalf("Incr of 5 in a race with %s returned %d", r.rival, n)
	}
	value, err := p.store.Get(p.ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		p.must(err)
	}
	if (err == nil) != (want != "") || string(value) != want {
		p.Fatalf("Incr in a race with %s returned %d; Get%s is %q, %v; want %q", r.rival, n, later, value, err, want)
	}
}

// checkBatchAcross has each client write for its neighbour and look for what that one writes: a pair of keys in many
// short batches, and many pairs in a few long ones.
func checkBatchAcross(p *probe) {
	both := p.both()
	p.often(rounds, func(round int) { p.crossing(both, fmt.Sprint("short", round), 1) })
	p.often(rounds/4, func(round int) { p.crossing(both, fmt.Sprint("long", round), 16) })
}

func (p *probe) crossing(both []*probe, round string, pairs int) {
	p.Helper()
	var saw [clients][]bool
	p.each(clients, func(i int) (err error) {
		saw[i], err = both[i%len(both)].writeAndLook(fmt.Sprintf("%s{%d}%s:", KeyPrefix, i/2, round), i%2, pairs)
		return err
	})
	for i := 0; i < clients; i += 2 {
		for j := range pairs {
			if !saw[i][j] && !saw[i+1][j] {
				p.Fatalf("two batches at once, {SetEX a, Get b} and {SetEX b, Get a}: neither found what the other wrote")
			}
		}
	}
}

// writeAndLook does one batch, which writes this side's key of each pair and then looks for the other's.
func (p *probe) writeAndLook(prefix string, side, pairs int) (saw []bool, err error) {
	var ops []store.Op
	for j := range pairs {
		name := func(side int) string { return fmt.Sprint(prefix, (side+j)%2, ":", j) } // in both orders of their names
		ops = append(ops, store.SetEXOp(name(side), nil, hour), store.GetOp(name(1-side)))
	}
	results := store.Batch(p.ctx, p.store, ops)
	if len(results) != len(ops) {
		return nil, fmt.Errorf("a batch of %d operations returned %d results", len(ops), len(results))
	}
	for j := range pairs {
		saw = append(saw, results[2*j+1].Err == nil)
	}
	return saw, store.FirstError(results)
}
