package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/blocking-coordination/coord/store"
)

func hasAppend(have inventory) bool { return have.appends }

func mayAppend(have inventory) bool { return have.caps.Append != nil }

func hasAppendAndHints(have inventory) bool { return hasAppend(have) && hasHints(have) }

var appendRules = []rule{
	{
		name:  "append-takes-a-ticket",
		why:   "Append increments Tail, writes Value to Entry followed by the ticket in decimal, and returns the ticket.",
		needs: hasAppend,
		check: checkAppend,
	},
	{
		name:  "append-sets-both-ttls",
		why:   "Append gives the entry its TTL, and refreshes the counter's with every append.",
		needs: hasAppend,
		check: checkAppendTTL,
	},
	{
		name: "an-unsupported-append-does-nothing",
		why: "An Append that fails with errors.ErrUnsupported has done nothing: the caller appends in steps instead, and " +
			"would append twice.",
		needs: mayAppend,
		check: checkAppendUnsupported,
	},
	{
		name:  "append-is-atomic",
		why:   "Nobody sees the counter without the entry: a reader who found a ticket finds what it stands for.",
		needs: hasAppend,
		check: checkAppendAtomic,
	},
	{
		name:  "concurrent-appends-are-distinct",
		why:   "Whether by Append, Incr or Batch, and whichever client takes them, no ticket is taken twice and none is left out.",
		needs: hasAppend,
		check: checkAppendConcurrent,
	},
	{
		name:  "append-is-all-or-nothing",
		why:   "After an error the append has happened as a whole or not at all; a permanent error means not at all.",
		needs: hasAppend,
		check: checkAppendRefused,
	},
	{
		name:  "append-keeps-no-reference",
		why:   "Append keeps no reference to Value: the caller reuses its buffer.",
		needs: hasAppend,
		check: checkAppendCopies,
	},
	{
		name:  "append-hints",
		why:   "Append publishes AppendHint(ticket, Value) on Channel: the next entry is handed over without a read.",
		needs: hasAppendAndHints,
		check: checkAppendHint,
	},
}

func entry(value string) store.Append {
	return store.Append{
		Tail: key("tail"), TailTTL: hour, Entry: key("entry:"), Value: []byte(value), TTL: hour, Channel: key("channel"),
	}
}

func (p *probe) append(a store.Append) int64 {
	p.Helper()
	n, err := p.caps.Append.Append(p.ctx, a)
	p.must(err)
	return n
}

func (p *probe) wantAppend(a store.Append, want int64) {
	p.Helper()
	if n := p.append(a); n != want {
		p.Fatalf("Append returned ticket %d, want %d", n, want)
	}
	p.wantValue(fmt.Sprint(a.Entry, want), string(a.Value))
}

func checkAppend(p *probe) {
	p.wantAppend(entry("first"), 1)
	p.wantAppend(entry(""), 2)
	p.wantIncr(key("tail"), 3) // a hole, as a writer without the capability leaves it
	silent := entry("\x00 fourth\r\n")
	silent.Channel = ""
	p.wantAppend(silent, 4)
	p.wantValue(key("tail"), "4")
	p.wantKeys(key(""), key("tail"), key("entry:1"), key("entry:2"), key("entry:4"))
}

func checkAppendTTL(p *probe) {
	a := entry("v")
	a.TailTTL, a.TTL = 10*minute, 3*minute
	p.wantAppend(a, 1)
	p.advance(6 * minute)
	p.wantMissing(key("entry:1"))
	p.wantAppend(a, 2)
	p.advance(6 * minute)
	p.wantValue(key("tail"), "2")
	p.advance(6 * minute)
	p.wantMissing(key("tail"))
	a.TailTTL, a.TTL = minute, hour
	p.wantAppend(a, 1)
	p.advance(10 * minute)
	p.wantMissing(key("tail"))
	p.wantValue(key("entry:1"), "v")
	p.wantIncr(key("tail"), 1) // without a time to live
	p.wantAppend(a, 2)
	p.advance(10 * minute)
	p.wantMissing(key("tail"))
}

// appends reports whether the server appends after all.
func (p *probe) appends() bool {
	_, err := p.caps.Append.Append(p.ctx, entry("v"))
	return !errors.Is(err, errors.ErrUnsupported)
}

func checkAppendUnsupported(p *probe) {
	if p.appends() {
		return // the other rules are about it
	}
	p.wantKeys(key(""))
	p.incr(key("tail"))
	if p.appends() {
		p.Fatalf("Append was unsupported, and then was not")
	}
	p.wantKeys(key(""), key("tail"))
	p.wantValue(key("tail"), "1")
}

// checkAppendAtomic has one reader among writers that go on until it has seen enough.
func checkAppendAtomic(p *probe) {
	p.append(entry("v"))
	both := p.appenders()
	p.meanwhile(p.readTickets, func(i int) error {
		_, err := both[i%len(both)].caps.Append.Append(p.ctx, entry("v"))
		return err
	})
}

// readTickets looks up the newest ticket's entry, again and again.
func (p *probe) readTickets(ctx context.Context) error {
	for n := 0; n < clients*rounds && ctx.Err() == nil; n++ {
		tail, err := p.store.Get(p.ctx, key("tail"))
		if err != nil {
			return fmt.Errorf("the counter: %w", err)
		}
		if _, err := p.store.Get(p.ctx, key("entry:")+string(tail)); err != nil {
			return fmt.Errorf("the counter shows ticket %s, but its entry: %w", tail, err)
		}
	}
	return nil
}

func checkAppendConcurrent(p *probe) {
	both := p.appenders()
	p.often(1, func(round int) { p.tickets(both, entryOf(round, "")) })
}

// entryOf is of a log of its own.
func entryOf(log int, value string) store.Append {
	a := entry(value)
	a.Tail, a.Entry = key(fmt.Sprint("tail", log)), key(fmt.Sprint("entry", log, ":"))
	return a
}

// tickets has several clients take some of one log.
func (p *probe) tickets(both []*probe, log store.Append) {
	p.Helper()
	got := make([]int64, clients*rounds)
	p.each(clients, func(i int) (err error) {
		for j := i * rounds; j < (i+1)*rounds && err == nil; j++ {
			got[j], err = both[i/ticketWays%len(both)].ticket(i%ticketWays, log, fmt.Sprint(j))
			runtime.Gosched() // or a client in memory is done before another has begun
		}
		return err
	})
	p.wantNumbers(slices.Clone(got))
	for j, n := range got {
		if j/rounds%ticketWays == 0 {
			p.wantValue(fmt.Sprint(log.Entry, n), fmt.Sprint(j))
		}
	}
}

// appenders are the clients that can append.
func (p *probe) appenders() []*probe {
	return slices.DeleteFunc(p.both(), func(p *probe) bool { return p.caps.Append == nil })
}

// ticketWays is in how many ways ticket takes one.
const ticketWays = 3

// ticket takes a ticket as some process of a fleet may: by Append, and without it, alone or in a batch.
func (p *probe) ticket(way int, a store.Append, value string) (int64, error) {
	switch way {
	case 0:
		a.Value = []byte(value)
		return p.caps.Append.Append(p.ctx, a)
	case 1:
		return p.count(a.Tail)
	}
	results := store.Batch(p.ctx, p.store, []store.Op{store.IncrOp(a.Tail), store.ExpireOp(a.Tail, hour)})
	if len(results) != 2 {
		return 0, fmt.Errorf("a batch of 2 operations returned %d results", len(results))
	}
	return results[0].N, store.FirstError(results)
}

func checkAppendRefused(p *probe) {
	p.setex(key("tail"), "text", hour)
	_, err := p.caps.Append.Append(p.ctx, entry("v"))
	p.wantError("Append to a tail that is no counter", err, store.ErrNotInteger)
	p.wantKeys(key(""), key("tail"))
	p.wantValue(key("tail"), "text")
	p.wantExpire(key("tail"), 0, true)
	mortal := entry("v")
	mortal.TTL = 0
	_, err = p.caps.Append.Append(p.ctx, mortal)
	p.wantError("Append of an entry without a time to live", err, store.ErrInvalidTTL)
	p.wantKeys(key(""))
	_, err = p.caps.Append.Append(ended(), entry("v"))
	p.wantEnded("Append", err)
}

func checkAppendCopies(p *probe) {
	a := entry("value")
	p.append(a)
	scribble(a.Value)
	p.wantValue(key("entry:1"), "value")
}

func checkAppendHint(p *probe) {
	in := p.subscribe(key("channel"))
	p.wantFrom(in, func() string {
		n := p.append(entry("a b\x00"))
		return string(store.AppendHint(n, []byte("a b\x00")))
	})
}
