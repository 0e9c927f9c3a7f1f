package conformance

import (
	"math"
	"time"

	"github.com/blocking-coordination/coord/store"
)

var (
	invalidTTLs = []time.Duration{0, -1, -time.Millisecond, -hour, math.MinInt64}
	longestTTLs = []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 / 2, math.MaxInt64 / 1000}
)

var expiryRules = []rule{
	{
		name:  "ttl-has-milliseconds",
		why:   "Times to live have millisecond precision: a key of 1500 ms lives at 1200 ms and is dead after 1700 ms.",
		check: checkMilliseconds,
	},
	{
		name:  "the-shortest-ttl-is-legal",
		why:   "Every positive ttl is legal, also one below a millisecond; it is rounded, not refused.",
		check: checkShortest,
	},
	{
		name:  "years-are-legal",
		why:   "A ttl of five years is legal: what was decided is kept for months, and RunProtocol keeps it ten times as long.",
		check: checkYears,
	},
	{
		name:  "the-dead-are-absent",
		why:   "A key whose time is up is absent to every operation, whether or not the store has removed it yet.",
		check: checkDead,
	},
	{
		name:  "setex-replaces-the-ttl",
		why:   "SetEX replaces the time to live, by a longer one as well as by a shorter one.",
		check: checkSetEXReplacesTTL,
	},
	{
		name:  "reading-does-not-prolong",
		why:   "Get and Keys leave the time to live as it is: who only looks keeps nobody alive.",
		check: checkReading,
	},
	{
		name:  "incr-keeps-the-ttl",
		why:   "Incr keeps an existing time to live: it neither drops nor refreshes it.",
		check: checkIncrKeepsTTL,
	},
	{
		name:  "a-new-counter-has-no-ttl",
		why:   "Incr gives a missing key no time to live, also where a dead key of that name had one.",
		check: checkNewCounter,
	},
	{
		name:  "expire-of-missing-is-false",
		why:   "Expire reports false where the key is missing, and creates nothing.",
		check: checkExpireMissing,
	},
	{
		name:  "expire-deletes",
		why:   "Expire with ttl <= 0 deletes the key and reports whether it was there: it is the only way to delete.",
		check: checkExpireDeletes,
	},
	{
		name:  "expire-sets-the-ttl",
		why:   "Expire sets the time to live of a key that is there, longer or shorter, and leaves its value alone.",
		check: checkExpireSets,
	},
	{
		name:  "expire-keeps-or-refuses-the-longest-ttl",
		why:   "A ttl too long for the driver is store.ErrInvalidTTL and changes nothing; it is never taken for a deletion.",
		check: checkExpireLongest,
	},
}

func checkMilliseconds(p *probe) {
	p.setex(key("set"), "v", 1500*time.Millisecond)
	p.setex(key("expire"), "v", hour)
	p.wantExpire(key("expire"), 1500*time.Millisecond, true)
	p.advance(1200 * time.Millisecond)
	p.wantValue(key("set"), "v")
	p.wantValue(key("expire"), "v")
	p.advance(500 * time.Millisecond)
	p.wantMissing(key("set"))
	p.wantMissing(key("expire"))
}

func checkShortest(p *probe) {
	p.setex(key("expire"), "v", hour)
	p.wantExpire(key("expire"), 1, true)
	for _, ttl := range []time.Duration{1, 999 * time.Microsecond, time.Millisecond} {
		p.setex(key("set"), "v", ttl)
	}
	p.advance(time.Second)
	p.wantMissing(key("set"))
	p.wantMissing(key("expire"))
}

func checkYears(p *probe) {
	const year = 365 * 24 * hour
	p.setex(key("set"), "v", 5*year)
	p.setex(key("expire"), "v", hour)
	p.wantExpire(key("expire"), 5*year, true)
	p.advance(4 * year)
	p.wantValue(key("set"), "v")
	p.wantValue(key("expire"), "v")
	p.advance(2 * year)
	p.wantMissing(key("set"))
	p.wantMissing(key("expire"))
}

func checkDead(p *probe) {
	for _, name := range []string{"get", "expire", "incr"} {
		p.setex(key(name), "41", minute)
	}
	p.advance(2 * minute)
	p.wantKeys(key(""))
	p.wantMissing(key("get"))
	p.wantExpire(key("expire"), hour, false)
	p.wantExpire(key("expire"), 0, false)
	p.wantIncr(key("incr"), 1)
	p.wantKeys(key(""), key("incr"))
}

func checkSetEXReplacesTTL(p *probe) {
	p.setex(key("longer"), "v", 10*minute)
	p.setex(key("longer"), "v", 10*hour)
	p.setex(key("shorter"), "v", 10*hour)
	p.setex(key("shorter"), "v", 10*minute)
	p.incr(key("counter"))
	p.setex(key("counter"), "1", 10*minute)
	p.advance(hour)
	p.wantValue(key("longer"), "v")
	p.wantMissing(key("shorter"))
	p.wantMissing(key("counter"))
	p.advance(10 * hour)
	p.wantMissing(key("longer"))
}

func checkReading(p *probe) {
	p.setex(key("k"), "v", 10*minute)
	p.advance(6 * minute)
	p.wantValue(key("k"), "v")
	p.wantKeys(key("k"), key("k"))
	p.advance(6 * minute)
	p.wantMissing(key("k"))
}

func checkIncrKeepsTTL(p *probe) {
	p.setex(key("k"), "5", 10*minute)
	p.wantIncr(key("k"), 6)
	p.advance(6 * minute)
	p.wantIncr(key("k"), 7)
	p.advance(6 * minute)
	p.wantMissing(key("k"))
}

func checkNewCounter(p *probe) {
	p.wantIncr(key("new"), 1)
	p.setex(key("reborn"), "5", minute)
	p.setex(key("deleted"), "5", minute)
	p.wantExpire(key("deleted"), 0, true)
	p.wantIncr(key("deleted"), 1)
	p.advance(2 * minute)
	p.wantIncr(key("reborn"), 1)
	p.advance(10_000 * hour)
	p.wantIncr(key("new"), 2)
	p.wantIncr(key("reborn"), 2)
	p.wantIncr(key("deleted"), 2)
}

func checkExpireMissing(p *probe) {
	for _, ttl := range append(invalidTTLs, time.Millisecond, hour) {
		p.wantExpire(key("nobody"), ttl, false)
	}
	p.wantMissing(key("nobody"))
}

func checkExpireDeletes(p *probe) {
	for _, ttl := range invalidTTLs {
		p.setex(key("k"), "v", hour)
		p.wantExpire(key("k"), ttl, true)
		p.wantMissing(key("k"))
		p.wantExpire(key("k"), ttl, false)
		p.incr(key("n"))
		p.wantExpire(key("n"), ttl, true)
		p.wantMissing(key("n"))
	}
}

func checkExpireSets(p *probe) {
	p.setex(key("longer"), "v", 10*minute)
	p.wantExpire(key("longer"), 10*hour, true)
	p.setex(key("shorter"), "v", 10*hour)
	p.wantExpire(key("shorter"), 10*minute, true)
	p.incr(key("counter"))
	p.wantExpire(key("counter"), 10*minute, true)
	p.wantValue(key("counter"), "1")
	p.advance(hour)
	p.wantValue(key("longer"), "v")
	p.wantMissing(key("shorter"))
	p.wantMissing(key("counter"))
	p.advance(10 * hour)
	p.wantMissing(key("longer"))
}

func checkExpireLongest(p *probe) {
	for _, ttl := range longestTTLs {
		p.setex(key("k"), "v", 10*minute)
		ok, err := p.store.Expire(p.ctx, key("k"), ttl)
		if err != nil {
			p.wantError("Expire for "+ttl.String(), err, store.ErrInvalidTTL)
		} else if !ok {
			p.Fatalf("Expire(%q, %v) = false, want true", key("k"), ttl)
		} else {
			p.advance(24 * hour)
		}
		p.wantValue(key("k"), "v")
	}
}
