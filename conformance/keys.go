package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// manyKeys is more than three pages of a server that is asked for a thousand keys at a time.
const manyKeys = 3100

var keysRules = []rule{
	{
		name:  "keys-takes-the-prefix-literally",
		why:   "Keys takes its prefix literally: *, ?, [, ], \\, { and } are characters like any other.",
		check: checkLiteral,
	},
	{
		name:  "keys-stays-in-its-prefix",
		why:   "Keys returns the keys that begin with the prefix, and none of a neighbour's whose name is similar.",
		check: checkNeighbours,
	},
	{
		name:  "keys-returns-each-once",
		why:   "Keys returns every live key once, however many there are: no page is lost and none is doubled.",
		check: checkMany,
	},
	{
		name:  "keys-returns-the-living",
		why:   "Keys returns neither expired nor deleted keys, and counters without a time to live as well.",
		check: checkLiving,
	},
	{
		name:  "keys-returns-what-can-be-read",
		why:   "What Keys returns are the names that SetEX was given: a driver takes its own namespace off again.",
		check: checkReadable,
	},
}

func checkLiteral(p *probe) {
	names := []string{
		"a*b", "aXb", "aXXb", "a?b", "a[X]b", "a]b", "a[b", `a\b`, `a\*b`, `a\\b`, "a{X}b", "a{b", "a}b", "a{X,Y}b", "a[^X]b",
		"a[a-z]b", "axb", "a**b", "*", "?", `\`,
	}
	for _, name := range names {
		p.setex(key(name+":1"), "v", hour)
	}
	for _, name := range names {
		p.wantKeys(key(name+":"), key(name+":1"))
	}
	for _, prefix := range []string{"a*", "a?", "a[", `a\`, "a{", "*", "[", `\`} {
		p.wantKeys(key(prefix), matching(names, prefix)...)
	}
}

func matching(names []string, prefix string) (keys []string) {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			keys = append(keys, key(name+":1"))
		}
	}
	return keys
}

func checkNeighbours(p *probe) {
	for _, name := range []string{"x", "x:", "x:1", "x:1:2", "x;1", "xx:1", "X:1", "y:x:1", "x1"} {
		p.setex(key(name), "v", hour)
	}
	p.wantKeys(key("x:"), key("x:"), key("x:1"), key("x:1:2"))
	p.wantKeys(key("x:1"), key("x:1"), key("x:1:2"))
	p.wantKeys(key("x"), key("x"), key("x:"), key("x:1"), key("x:1:2"), key("x;1"), key("xx:1"), key("x1"))
	p.wantKeys(key("x:1:2:3"))
	p.wantKeys(key("nobody"))
}

func checkMany(p *probe) {
	want := make([]string, manyKeys)
	for i := range want {
		want[i] = fmt.Sprintf("%s%04d", key("many:"), i)
	}
	p.setAll(want, hour)
	p.setex(key("other"), "v", hour)
	got := p.keys(key("many:"))
	if len(got) != len(slices.Compact(slices.Clone(got))) {
		p.Fatalf("Keys returned %d keys, some of them more than once", len(got))
	}
	if !slices.Equal(got, want) {
		p.Fatalf("Keys returned %d keys, not the %d that are there", len(got), len(want))
	}
}

// setAll writes an empty value to all keys, in batches that are large but not absurd.
func (p *probe) setAll(keys []string, ttl time.Duration) {
	p.Helper()
	for page := range slices.Chunk(keys, 500) {
		ops := make([]store.Op, len(page))
		for i, k := range page {
			ops[i] = store.SetEXOp(k, nil, ttl)
		}
		p.must(store.FirstError(store.Batch(p.ctx, p.store, ops)))
	}
}

func checkLiving(p *probe) {
	p.setex(key("dead"), "v", minute)
	p.setex(key("alive"), "v", hour)
	p.setex(key("deleted"), "v", hour)
	p.setex(key("shortened"), "v", hour)
	p.incr(key("counter"))
	p.wantExpire(key("deleted"), 0, true)
	p.wantExpire(key("shortened"), minute, true)
	p.wantKeys(key(""), key("alive"), key("counter"), key("dead"), key("shortened"))
	p.advance(2 * minute)
	p.wantKeys(key(""), key("alive"), key("counter"))
}

func checkReadable(p *probe) {
	p.setex(key("a"), "v", hour)
	p.setex(key("b"), "v", hour)
	for _, k := range p.keys(KeyPrefix) {
		p.wantValue(k, "v")
	}
	for _, want := range []string{key("a"), key("b")} {
		if !slices.Contains(p.keys(""), want) {
			p.Fatalf("Keys of the empty prefix does not return %q", want)
		}
	}
}
