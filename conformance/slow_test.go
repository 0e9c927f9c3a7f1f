package conformance

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A driver that is too slow for a rule is not said to break it.
func TestTooSlowIsNotBroken(t *testing.T) {
	late := rule{name: "late", why: "the reason", check: func(p *probe) {
		ctx, cancel := context.WithTimeout(p.ctx, time.Nanosecond)
		defer cancel()
		<-ctx.Done()
		p.ctx = ctx
		p.incr(key("n"))
	}}
	found := make(findings)
	suite{open: openBroken(func(*broken) {})}.runRule(found, inventory{}, direct, late)
	if log := found["late"]; !strings.Contains(log, "too slow") || !strings.Contains(log, "1 operations") || strings.Contains(log, "broken") {
		t.Errorf("a deadline is reported as:\n%s", log)
	}
}

// Each history has a limit of its own, and its end is seen by the rule.
func TestHistoriesHaveLimitsOfTheirOwn(t *testing.T) {
	r := record("history", func(tb testing.TB) {
		p := suite{open: openBroken(func(*broken) {})}.probe(tb, direct)
		ctx, cancel := context.WithCancel(p.ctx)
		cancel()
		p.ctx = ctx
		h, end := p.history(key("h:"))
		h.must(h.store.SetEX(h.ctx, key("h:k"), nil, hour))
		if end(); p.slow {
			tb.Error("a history that ended in time counts as slow")
		}
	})
	if r.failed {
		t.Error(r.log.String())
	}
}
