package conformance

import (
	"strings"

	"github.com/blocking-coordination/coord/store"
)

var valueRules = []rule{
	{
		name:  "missing-is-not-found",
		why:   "Get of a key that does not exist is store.ErrNotFound: the protocol decides by errors.Is.",
		check: func(p *probe) { p.wantMissing(key("nobody")) },
	},
	{
		name:  "values-are-bytes",
		why:   "SetEX keeps any bytes, up to 1.5 MiB, and Get returns them as they were: values are neither text nor lines.",
		check: checkBytes,
	},
	{
		name:  "empty-is-a-value",
		why:   "An empty or nil value is legal and reads back as empty; it is not an absent key.",
		check: checkEmpty,
	},
	{
		name:  "setex-replaces-the-value",
		why:   "SetEX replaces the whole value, whatever was there, also a counter.",
		check: checkReplace,
	},
	{
		name:  "keys-are-bytes",
		why:   "Every key is another key, whatever its characters or its length: nothing is folded, trimmed or cut.",
		check: checkOddKeys,
	},
	{
		name:  "the-caller-owns-the-result",
		why:   "The caller owns the bytes that Get returns: writing to them changes nothing in the store.",
		check: checkResultOwned,
	},
	{
		name:  "the-store-keeps-no-reference",
		why:   "SetEX keeps no reference to value: the caller reuses its buffer as soon as SetEX has returned.",
		check: checkValueCopied,
	},
	{
		name:  "invalid-ttl-is-refused",
		why:   "SetEX with ttl <= 0 is store.ErrInvalidTTL and changes nothing.",
		check: checkInvalidTTL,
	},
	{
		name:  "the-longest-ttl-is-kept-or-refused",
		why:   "A ttl that the driver cannot hold is store.ErrInvalidTTL and changes nothing; it never wraps into the past.",
		check: checkLongestTTL,
	},
}

// largestValue is more than coord ever writes: 1 MiB of a user's bytes in base64, and what is around it.
const largestValue = 3 << 19

func checkBytes(p *probe) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	largest := strings.Repeat(string(all[:]), largestValue/len(all))
	values := []string{string(all[:]), "\r\n", "\x00", "$5\r\nhello\r\n", "\xff\xfe", largest}
	for _, value := range values {
		p.setex(key("bytes"), value, hour)
		p.wantValue(key("bytes"), value)
	}
}

func checkEmpty(p *probe) {
	p.must(p.store.SetEX(p.ctx, key("empty"), []byte{}, hour))
	p.must(p.store.SetEX(p.ctx, key("nil"), nil, hour))
	p.wantValue(key("empty"), "")
	p.wantValue(key("nil"), "")
	p.wantKeys(key(""), key("empty"), key("nil"))
	p.wantExpire(key("nil"), 0, true)
}

func checkReplace(p *probe) {
	p.setex(key("k"), "a long value", hour)
	p.setex(key("k"), "short", hour)
	p.wantValue(key("k"), "short")
	p.setex(key("k"), "", hour)
	p.wantValue(key("k"), "")
	p.wantIncr(key("n"), 1)
	p.setex(key("n"), "text", hour)
	p.wantValue(key("n"), "text")
	p.wantKeys(key(""), key("k"), key("n"))
}

func checkOddKeys(p *probe) {
	odd := []string{
		"a", "A", "a ", " a", "a\n", "a\x00", "a\x00b", "a:b", "a/b", "a/../a", ".", "..", "a%2Fb", "a*", "a?", "[a]", `a\`,
		"{a}", "{", "a}", "ä", "a\u0308", "\xff", "-", strings.Repeat("k", 1000), strings.Repeat("k", 1001),
	}
	var all []string
	for _, name := range odd {
		all = append(all, key(name))
		p.setex(key(name), "value of "+name, hour)
	}
	for _, name := range odd {
		p.wantValue(key(name), "value of "+name)
	}
	p.wantKeys(key(""), all...)
}

func checkResultOwned(p *probe) {
	p.setex(key("k"), "value", hour)
	got, err := p.store.Get(p.ctx, key("k"))
	p.must(err)
	scribble(got)
	p.wantValue(key("k"), "value")
	got, err = p.store.Get(p.ctx, key("k"))
	p.must(err)
	p.setex(key("k"), "other", hour)
	if string(got) != "value" {
		p.Fatalf("SetEX wrote into bytes that Get had returned: %q", got)
	}
}

func checkValueCopied(p *probe) {
	value := []byte("value")
	p.must(p.store.SetEX(p.ctx, key("k"), value, hour))
	scribble(value)
	p.wantValue(key("k"), "value")
	mine := append(make([]byte, 0, 64), "12"...)
	p.must(p.store.SetEX(p.ctx, key("n"), mine, hour))
	p.wantIncr(key("n"), 13)
	if string(mine) != "12" {
		p.Fatalf("Incr wrote into the bytes that SetEX was given: %q", mine)
	}
}

func checkInvalidTTL(p *probe) {
	p.setex(key("there"), "old", minute)
	for _, ttl := range invalidTTLs {
		err := p.store.SetEX(p.ctx, key("there"), []byte("new"), ttl)
		p.wantError("SetEX for "+ttl.String(), err, store.ErrInvalidTTL)
		err = p.store.SetEX(p.ctx, key("absent"), []byte("new"), ttl)
		p.wantError("SetEX for "+ttl.String(), err, store.ErrInvalidTTL)
	}
	p.wantValue(key("there"), "old")
	p.wantMissing(key("absent"))
	p.advance(2 * minute)
	p.wantMissing(key("there"))
}

func checkLongestTTL(p *probe) {
	for _, ttl := range longestTTLs {
		p.setex(key("k"), "old", minute)
		if err := p.store.SetEX(p.ctx, key("k"), []byte("new"), ttl); err != nil {
			p.wantError("SetEX for "+ttl.String(), err, store.ErrInvalidTTL)
			p.wantValue(key("k"), "old")
		} else {
			p.advance(24 * hour)
			p.wantValue(key("k"), "new")
		}
	}
}
