package conformance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/store"
)

func hasLate(have inventory) bool { return have.caps.Late != nil }

var lateRules = []rule{
	{
		name:  "touches-are-counted",
		why:   "Touch raises the index's count by one, however many members it names; an index that is not there counts 0.",
		needs: hasLate,
		check: checkTouch,
	},
	{
		name:  "late-orders-by-touch",
		why:   "Late returns the members whose last count is not above the given one, the lowest first, up to the limit.",
		needs: hasLate,
		check: checkLate,
	},
	{
		name:  "counts-name-the-last-touch",
		why:   "Counts returns the last count of each member in the order in which they are named, and 0 for one that is not there.",
		needs: hasLate,
		check: checkMemberCounts,
	},
	{
		name:  "batch-touches",
		why:   "OpTouch in a batch touches like Touch, or fails with ErrUnsupported and does nothing.",
		needs: hasLate,
		check: checkBatchTouch,
	},
	{
		name:  "drop-removes-members",
		why:   "Drop removes the members it names, and neither the others nor the count.",
		needs: hasLate,
		check: checkDrop,
	},
	{
		name:  "an-index-expires",
		why:   "An index lives for its ttl since the last touch; afterwards there is none, and it counts from 0 again.",
		needs: hasLate,
		check: checkIndexTTL,
	},
	{
		name:  "concurrent-touches-are-counted",
		why:   "No touch is lost: a count that lags would make the living look late.",
		needs: hasLate,
		check: checkConcurrentTouch,
	},
	{
		name:  "an-index-takes-thousands",
		why:   "Touch, Counts and Drop take thousands of members at once, Late returns as many: a fleet dies in one pass.",
		needs: hasLate,
		check: checkThousands,
	},
	{
		name:  "members-stay-the-caller's",
		why:   "What is done with an index leaves the caller's list of members as it is, in its order.",
		needs: hasLate,
		check: checkMembersKept,
	},
	{
		name:  "clients-share-an-index",
		why:   "What one client touches or drops, another sees: who beats and who watches are different processes.",
		needs: func(have inventory) bool { return hasLate(have) && canReopen(have) },
		check: checkSharedIndex,
	},
	{
		name:  "an-index-honours-the-context",
		why:   "Every operation on an index returns soon after its context ends, with the context's error or its cause.",
		needs: hasLate,
		check: checkLateContext,
	},
}

func (p *probe) touch(index string, ttl time.Duration, members ...string) {
	p.Helper()
	p.must(p.caps.Late.Touch(p.ctx, index, ttl, members...))
}

func (p *probe) wantCount(index string, want int64) {
	p.Helper()
	n, err := p.caps.Late.Count(p.ctx, index)
	p.must(err)
	if n != want {
		p.Fatalf("Count(%q) = %d, want %d", index, n, want)
	}
}

func (p *probe) wantLate(index string, count int64, limit int, want ...string) {
	p.Helper()
	got, err := p.caps.Late.Late(p.ctx, index, count, limit)
	p.must(err)
	if !slices.Equal(got, want) {
		p.Fatalf("Late(%q, %d, %d) = %q, want %q", index, count, limit, got, want)
	}
}

func checkTouch(p *probe) {
	p.wantCount(key("index"), 0)
	p.touch(key("index"), hour, "a")
	p.wantCount(key("index"), 1)
	p.touch(key("index"), hour, "a", "b", "c")
	p.wantCount(key("index"), 2)
	p.wantCount(key("other"), 0)
	p.wantLate(key("other"), 100, 100)
}

func checkLate(p *probe) {
	for _, member := range []string{"z", "y", "x", "w"} {
		p.touch(key("index"), hour, member)
	}
	p.wantLate(key("index"), 0, 100)
	p.wantLate(key("index"), 2, 100, "z", "y")
	p.wantLate(key("index"), 100, 3, "z", "y", "x")
	p.touch(key("index"), hour, "z") // no longer late
	p.wantLate(key("index"), 4, 100, "y", "x", "w")
	p.wantLate(key("index"), 5, 100, "y", "x", "w", "z")
}

func checkMemberCounts(p *probe) {
	p.wantCounts(key("index"), []int64{0}, "a")
	p.touch(key("index"), hour, "a", "b")
	p.touch(key("index"), hour, "c", "a")
	p.wantCounts(key("index"), []int64{2, 0, 1, 2}, "c", "nobody", "b", "a")
	p.wantCounts(key("index"), nil)
	p.must(p.caps.Late.Drop(p.ctx, key("index"), "c"))
	p.wantCounts(key("index"), []int64{0, 1}, "c", "b")
}

func (p *probe) wantCounts(index string, want []int64, members ...string) {
	p.Helper()
	got, err := p.caps.Late.Counts(p.ctx, index, members...)
	p.must(err)
	if !slices.Equal(got, want) {
		p.Fatalf("Counts(%q, %q) = %d, want %d", index, members, got, want)
	}
}

func checkBatchTouch(p *probe) {
	for n := range int64(3) {
		got := p.batch(store.IncrOp(key("n")), store.TouchOp(key("index"), hour, "a", "b"), store.IncrOp(key("n")))
		if got[0].Err != nil || got[2].Err != nil {
			p.Fatalf("beside a touch: %v, %v", got[0].Err, got[2].Err)
		}
		if errors.Is(got[1].Err, errors.ErrUnsupported) {
			n = -1 // nothing happened
		} else {
			p.must(got[1].Err)
		}
		p.wantCount(key("index"), n+1)
		p.wantCounts(key("index"), []int64{n + 1, n + 1}, "a", "b")
	}
}

func checkDrop(p *probe) {
	for _, member := range []string{"a", "b", "c", "d"} {
		p.touch(key("index"), hour, member)
	}
	p.must(p.caps.Late.Drop(p.ctx, key("index"), "b", "d", "nobody"))
	p.wantLate(key("index"), 100, 100, "a", "c")
	p.wantCount(key("index"), 4)
	p.touch(key("index"), hour, "b")
	p.wantLate(key("index"), 100, 100, "a", "c", "b")
	p.must(p.caps.Late.Drop(p.ctx, key("nothing"), "a"))
}

func checkIndexTTL(p *probe) {
	p.touch(key("index"), 10*minute, "a")
	p.advance(6 * minute)
	p.touch(key("index"), 10*minute, "b")
	p.advance(6 * minute)
	p.wantCount(key("index"), 2)
	p.wantLate(key("index"), 100, 100, "a", "b")
	p.advance(hour)
	p.wantCount(key("index"), 0)
	p.wantLate(key("index"), 100, 100)
	p.touch(key("index"), hour, "c")
	p.wantCount(key("index"), 1)
	p.wantLate(key("index"), 100, 100, "c")
}

func checkConcurrentTouch(p *probe) {
	p.each(clients, func(i int) (err error) {
		for j := 0; j < rounds && err == nil; j++ {
			err = p.caps.Late.Touch(p.ctx, key("index"), hour, fmt.Sprint("m", i))
		}
		return err
	})
	p.wantCount(key("index"), clients*rounds)
	got, err := p.caps.Late.Late(p.ctx, key("index"), clients*rounds, 100)
	p.must(err)
	slices.Sort(got)
	if len(slices.Compact(got)) != clients {
		p.Fatalf("Late = %q, want %d members", got, clients)
	}
}

func checkThousands(p *probe) {
	members := make([]string, 5000)
	for i := range members {
		members[i] = fmt.Sprintf("member%04d", i)
	}
	p.touch(key("index"), hour, members...)
	p.wantCounts(key("index"), slices.Repeat([]int64{1}, len(members)), members...)
	p.must(p.caps.Late.Drop(p.ctx, key("index"), members[1:]...))
	p.wantLate(key("index"), 1, 1<<20, members[0])
	p.touch(key("index"), hour, members...)
	if got, err := p.caps.Late.Late(p.ctx, key("index"), 2, 1<<20); err != nil || len(got) != len(members) {
		p.Fatalf("Late returned %d of %d members, %v", len(got), len(members), err)
	}
}

func checkMembersKept(p *probe) {
	mine := []string{"z", "a", "m"}
	p.touch(key("index"), hour, mine...)
	p.wantCounts(key("index"), []int64{1, 1, 1}, mine...)
	p.must(p.caps.Late.Drop(p.ctx, key("index"), mine...))
	if want := []string{"z", "a", "m"}; !slices.Equal(mine, want) {
		p.Fatalf("the caller's members %q have become %q", want, mine)
	}
}

func checkSharedIndex(p *probe) {
	both := p.both()
	if both[1].caps.Late == nil {
		return
	}
	p.touch(key("index"), hour, "a", "b")
	both[1].touch(key("index"), hour, "b")
	for _, client := range both {
		client.wantCount(key("index"), 2)
		client.wantCounts(key("index"), []int64{1, 2}, "a", "b")
		client.wantLate(key("index"), 2, 100, "a", "b")
	}
	p.must(both[1].caps.Late.Drop(p.ctx, key("index"), "a"))
	p.wantLate(key("index"), 2, 100, "b")
}

func checkLateContext(p *probe) {
	ctx := ended()
	p.wantEnded("Touch", p.caps.Late.Touch(ctx, key("index"), hour, "a"))
	_, err := p.caps.Late.Count(ctx, key("index"))
	p.wantEnded("Count", err)
	_, err = p.caps.Late.Counts(ctx, key("index"), "a")
	p.wantEnded("Counts", err)
	_, err = p.caps.Late.Late(ctx, key("index"), 1, 1)
	p.wantEnded("Late", err)
	p.wantEnded("Drop", p.caps.Late.Drop(ctx, key("index"), "a"))
}
