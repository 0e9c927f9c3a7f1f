package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/blocking-coordination/coord/store"
)

const (
	clients = 16 // that work at once
	rounds  = 20 // that each of them works
)

var concurrencyRules = []rule{
	{
		name: "concurrent-incr-is-distinct",
		why: "Two calls of Incr never return the same number, and a counter never goes back nor is gone meanwhile, while " +
			"others prolong it: tickets, votes and incarnations are built on it.",
		check: checkConcurrentIncr,
	},
	{
		name:  "concurrent-values-are-whole",
		why:   "SetEX and Get are atomic: a reader sees one writer's whole value.",
		check: checkWhole,
	},
	{
		name:  "one-delete-succeeds",
		why:   "Expire with ttl <= 0 reports true to exactly one of those who delete a key at once.",
		check: checkOneDelete,
	},
	{
		name:  "keys-sees-what-stays",
		why:   "A key that is alive during the whole call of Keys is returned, once, whatever comes and goes meanwhile.",
		check: checkKeysMeanwhile,
	},
	{
		name:  "concurrent-batches-keep-apart",
		why:   "Batches of several clients may interleave, but each gets the results of its own operations.",
		check: checkConcurrentBatches,
	},
}

func checkConcurrentIncr(p *probe) {
	p.often(1, func(round int) { p.countAll([]*probe{p}, key(fmt.Sprint("n", round))) })
}

// countAll has several clients count at one counter.
func (p *probe) countAll(both []*probe, name string) {
	p.Helper()
	got := make([]int64, clients*rounds)
	p.each(clients, func(i int) (err error) {
		for j := 0; j < rounds && err == nil; j++ {
			got[i*rounds+j], err = both[i%len(both)].count(name)
		}
		return err
	})
	p.wantNumbers(got)
	p.wantValue(name, fmt.Sprint(clients*rounds))
}

// count increments a counter and prolongs it, as an append in steps does, and looks whether it is there.
func (p *probe) count(name string) (int64, error) {
	n, err := p.store.Incr(p.ctx, name)
	if err != nil {
		return 0, err
	}
	ok, err := p.store.Expire(p.ctx, name, hour)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("a counter that stood at %d is missing to Expire", n)
	}
	value, err := p.store.Get(p.ctx, name)
	if err != nil {
		return 0, fmt.Errorf("a counter that stood at %d cannot be read: %w", n, err)
	}
	if seen, err := strconv.ParseInt(string(value), 10, 64); err != nil || seen < n {
		return 0, fmt.Errorf("a counter that stood at %d reads %s", n, brief(value))
	}
	return n, nil
}

func checkWhole(p *probe) {
	value := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 1000*(i+1)) }
	p.setex(key("k"), string(value(0)), hour)
	p.each(clients, func(i int) error {
		for range rounds {
			got, err := p.store.Get(p.ctx, key("k"))
			if err != nil {
				return err
			}
			if len(got) == 0 || !bytes.Equal(got, value(int(got[0]-'a'))) {
				return fmt.Errorf("a torn value of %d bytes: %s", len(got), brief(got))
			}
			if err := p.store.SetEX(p.ctx, key("k"), value(i), hour); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkOneDelete(p *probe) {
	both := p.both()
	p.often(rounds, func(i int) {
		name := key(fmt.Sprint("k", i))
		p.setex(name, "v", hour)
		var deleted atomic.Int32
		p.each(clients, func(i int) error {
			ok, err := both[i%len(both)].store.Expire(p.ctx, name, 0)
			if ok {
				deleted.Add(1)
			}
			return err
		})
		if n := deleted.Load(); n != 1 {
			p.Fatalf("%d of %d concurrent deletions of one key reported true", n, clients)
		}
	})
}

func checkKeysMeanwhile(p *probe) {
	stay := make([]string, 1200) // more than a page
	for i := range stay {
		stay[i] = fmt.Sprintf("%s%04d", key("k:stay:"), i)
	}
	p.setAll(stay, hour)
	list := func(context.Context) error {
		for range rounds / 2 {
			got, err := p.store.Keys(p.ctx, key("k:"))
			if err != nil {
				return err
			}
			if err := containsOnce(got, stay); err != nil {
				return err
			}
		}
		return nil
	}
	p.meanwhile(list, p.comeAndGo)
}

func (p *probe) comeAndGo(client int) error {
	name := key(fmt.Sprint("k:go:", client))
	if err := p.store.SetEX(p.ctx, name, nil, hour); err != nil {
		return err
	}
	_, err := p.store.Expire(p.ctx, name, 0)
	return err
}

func containsOnce(got, want []string) error {
	slices.Sort(got)
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		return errors.New("Keys returned a key more than once")
	}
	for _, k := range want {
		if _, ok := slices.BinarySearch(got, k); !ok {
			return fmt.Errorf("Keys did not return %q, which was alive during the whole call", k)
		}
	}
	return nil
}

func checkConcurrentBatches(p *probe) {
	got := make([]int64, clients*rounds)
	p.each(clients, func(i int) error {
		for j := range rounds {
			n, err := p.ownBatch(key(fmt.Sprint("own", i)), fmt.Sprint(i, ":", j))
			if err != nil {
				return err
			}
			got[i*rounds+j] = n
		}
		return nil
	})
	p.wantNumbers(got)
}

// ownBatch writes and reads a key of the caller's own, and increments one that all share.
func (p *probe) ownBatch(own, value string) (int64, error) {
	results := store.Batch(p.ctx, p.store, []store.Op{
		store.SetEXOp(own, []byte(value), hour), store.IncrOp(key("n")), store.GetOp(own),
	})
	if len(results) != 3 {
		return 0, fmt.Errorf("a batch of 3 operations returned %d results", len(results))
	}
	if err := store.FirstError(results); err != nil {
		return 0, err
	}
	if got := results[2].Value; string(got) != value {
		return 0, fmt.Errorf("a batch that wrote %q read %s", value, brief(got))
	}
	return results[1].N, nil
}
