// Package conformance proves a store driver with one call:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, func(tb testing.TB) conformance.Instance {
//			clock := memstore.NewFakeClock(time.Time{})
//			s := memstore.New(memstore.WithClock(clock))
//			return conformance.Instance{Store: s, Advance: clock.Advance}
//		})
//	}
//
// The suite is a table of rules, each with a name and the reason for it; a failure says both. No rule can be switched
// off. The rules of the five operations run against the driver itself, through its Batch where it has one, and through
// store.Batch with every capability hidden. Rules of a capability run where the driver has it.
//
// RunProtocol plays coord's own protocol on the driver, with drawn interleavings, faults and crashes, and says which
// promise broke and what led to it.
//
// Nothing here sleeps. Time passes by Instance.Advance alone, and no rule asks what happens exactly at a deadline: a key
// has to be alive well before it and dead well after it.
package conformance

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// KeyPrefix begins every key, index and channel that the suite uses, so that an instance may share its server with
// others. The store need only be empty below it.
const KeyPrefix = "conformance:"

// Only broken drivers need this long.
const (
	patience = 30 * time.Second      // how long a rule waits for a hint
	limit    = 2 * time.Minute       // when the contexts of a check end, or of one history
	insist   = 50 * time.Millisecond // for which a race is repeated, where that is more often: memory is fast
	budget   = 30 * time.Second      // after which no further history begins
)

// Instance is one store to be tested, empty below KeyPrefix.
type Instance struct {
	// Store is the driver. The suite never closes it; register that with the testing.TB that open was given.
	// Where it shares its clock (store.Capabilities.Clock), RunProtocol needs goroutines of it to block on channels and
	// timers alone; none may read from a socket.
	Store store.Store

	// Advance makes d pass for every time to live in the store, and for its clock where it has the capability. It may
	// take no notice of d in any other way: a driver on a fake clock moves the clock, one on a real server shortens
	// the times to live of its keys by d. It is never called concurrently with operations. RunProtocol calls it nearly
	// as often as operations: on a server it had better be one trip. It is required.
	Advance func(d time.Duration)

	// Reopen returns another client of the same data, as after a restart or in another process; the first one goes on
	// working. nil where no two clients can share the data.
	Reopen func() store.Store
}

// Run proves the driver that open opens. Every check opens an instance of its own and runs as a subtest with the rule's
// name. open is called in the subtest's goroutine, one call at a time, and may use Fatal and Cleanup of what it is given.
// The rules are all that the protocol asks of a driver; RunProtocol shows it.
func Run(t *testing.T, open func(testing.TB) Instance) {
	t.Helper()
	suite{open: open, patience: patience, insist: insist, modes: allModes}.run(subtests{t})
}

// rule is one obligation of a driver.
type rule struct {
	name  string
	why   string               // said in every failure
	needs func(inventory) bool // nil: every driver must keep it
	check func(*probe)
}

// inventory is what the driver under test has beyond the five operations.
type inventory struct {
	caps    store.Capabilities
	reopen  bool
	appends bool // its Append is not refused as unsupported
}

// reporter runs a check where it may fail without stopping the others: a subtest, or a stand-in in the suite's own
// tests.
type reporter interface {
	run(name string, check func(testing.TB))
}

type subtests struct{ t *testing.T }

func (s subtests) run(name string, check func(testing.TB)) {
	s.t.Run(name, func(t *testing.T) { check(t) })
}

type suite struct {
	open     func(testing.TB) Instance
	patience time.Duration
	insist   time.Duration
	modes    []mode
}

func (s suite) run(rep reporter) {
	var have inventory
	rep.run("instance", func(tb testing.TB) { have = s.inspect(tb) })
	for _, m := range s.modes {
		for _, r := range operationRules() {
			s.runRule(rep, have, m, r)
		}
	}
	for _, r := range capabilityRules() {
		s.runRule(rep, have, direct, r)
	}
}

func (s suite) runRule(rep reporter, have inventory, m mode, r rule) {
	if !m.applies(have) || r.needs != nil && !r.needs(have) {
		return
	}
	rep.run(m.prefix+r.name, func(tb testing.TB) {
		var p *probe
		defer func() {
			if tb.Failed() {
				tb.Log(p.verdict(r))
			}
		}()
		p = s.probe(tb, m)
		r.check(p)
	})
}

// verdict says why a check failed: p is nil where no instance could be opened.
func (p *probe) verdict(r rule) string {
	if p != nil && (p.slow || p.ctx.Err() != nil) {
		return fmt.Sprintf("too slow for rule %q: %d operations in %v, and more were to come",
			r.name, p.done.Load(), time.Since(p.began).Round(time.Millisecond))
	}
	return fmt.Sprintf("broken rule %q: %s", r.name, r.why)
}

// inspect finds out what the driver has, and refuses an instance that would make every rule fail for a foolish reason.
func (s suite) inspect(tb testing.TB) inventory {
	p := s.probe(tb, direct)
	p.wantKeys(KeyPrefix) // empty at the start
	return inventory{caps: p.caps, reopen: p.instance.Reopen != nil, appends: p.caps.Append != nil && p.appends()}
}

func (s suite) probe(tb testing.TB, m mode) *probe {
	instance := opened(tb, s.open)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	tb.Cleanup(cancel)
	p := &probe{
		TB: tb, ctx: ctx, instance: instance, patience: s.patience, insist: s.insist, mode: m,
		caps: store.CapabilitiesOf(instance.Store), began: time.Now(), done: new(atomic.Int64),
	}
	p.store = p.client(instance.Store)
	return p
}

func opened(tb testing.TB, open func(testing.TB) Instance) Instance {
	instance := open(tb)
	if instance.Store == nil || instance.Advance == nil {
		tb.Fatal("conformance: an Instance needs a Store and an Advance")
	}
	return instance
}

func operationRules() []rule {
	return concat(valueRules, expiryRules, counterRules, keysRules, concurrencyRules, raceRules, contextRules, batchRules,
		modelRules)
}

func capabilityRules() []rule {
	return concat(generalRules, appendRules, hintRules, lateRules, reopenRules)
}

func concat(tables ...[]rule) (all []rule) {
	for _, table := range tables {
		all = append(all, table...)
	}
	return all
}
