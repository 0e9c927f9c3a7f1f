package conformance

import (
	"math"

	"github.com/blocking-coordination/coord/store"
)

var counterRules = []rule{
	{
		name:  "incr-counts",
		why:   "Incr counts a missing key as 0, adds one to the decimal at the key, and leaves the sum as a decimal there.",
		check: checkCounts,
	},
	{
		name: "incr-refuses-what-is-no-integer",
		why: "Incr of a value that is not a canonical int64 is store.ErrNotInteger and changes neither value nor time to " +
			"live: what another driver wrote must mean the same here.",
		check: checkNotInteger,
	},
	{
		name:  "incr-does-not-wrap",
		why:   "Incr of math.MaxInt64 is store.ErrNotInteger and changes nothing: a counter never goes back.",
		check: checkNoWrap,
	},
}

func checkCounts(p *probe) {
	for want := range int64(12) {
		p.wantIncr(key("n"), want+1)
	}
	p.wantValue(key("n"), "12")
	for value, want := range map[string]int64{
		"0": 1, "41": 42, "-1": 0, "-10": -9, "999": 1000, "-9223372036854775808": math.MinInt64 + 1,
		"9223372036854775806": math.MaxInt64,
	} {
		p.setex(key("set"), value, hour)
		p.wantIncr(key("set"), want)
	}
}

func checkNotInteger(p *probe) {
	for _, value := range []string{
		"", " ", "+1", "01", "00", "-0", "-01", " 1", "1 ", "1\n", "1\x00", "-", "+", "1.0", "1e3", "0x1", "1_000", "abc", "١",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999",
	} {
		p.setex(key("k"), value, 10*minute)
		n, err := p.store.Incr(p.ctx, key("k"))
		if err == nil {
			p.Fatalf("Incr of %q = %d, want store.ErrNotInteger", value, n)
		}
		p.wantError("Incr of "+brief([]byte(value)), err, store.ErrNotInteger)
		p.wantValue(key("k"), value)
	}
	p.advance(hour)
	p.wantMissing(key("k"))
}

func checkNoWrap(p *probe) {
	const highest = "9223372036854775807"
	p.setex(key("k"), highest, 10*minute)
	for range 2 {
		_, err := p.store.Incr(p.ctx, key("k"))
		p.wantError("Incr of "+highest, err, store.ErrNotInteger)
		p.wantValue(key("k"), highest)
	}
}
