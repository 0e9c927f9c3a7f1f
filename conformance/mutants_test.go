package conformance

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// mutant is a broken store, and the rule that must find it out.
type mutant struct {
	name   string
	rule   string
	mutate func(*broken)
}

var allMutants = slices.Concat(valueMutants, expiryMutants, counterMutants, keysMutants, concurrencyMutants,
	raceMutants, contextMutants, batchMutants, appendMutants, clientMutants, hintMutants, lateMutants, generalMutants)

// inspection is a suite with less patience: memory is fast, and many a mutant never says what is waited for. It does
// not go through the fallback, in which a mutant only does again what it did directly.
func inspection(mutate func(*broken)) suite {
	return suite{open: openBroken(mutate), patience: 200 * time.Millisecond, modes: []mode{direct, batched}}
}

func goodBatch(good batchFunc) batchFunc { return good }

// The store around which the mutants are wrapped is good, so that what is found is theirs.
func TestGoodStorePasses(t *testing.T) {
	found := make(findings)
	suite{open: openBroken(withBatch(goodBatch)), patience: patience, modes: allModes}.run(found)
	for name, log := range found {
		t.Errorf("rule %s finds fault with a good store:\n%s", name, log)
	}
}

// questions is a reporter that notes what would be asked, and asks only what the driver has.
type questions []string

func (q *questions) run(name string, check func(testing.TB)) {
	if *q = append(*q, name); name == "instance" {
		record(name, check)
	}
}

// What a driver lacks is not asked of it; everything else is, in every mode.
func TestRulesFollowTheCapabilities(t *testing.T) {
	var some, all questions
	suite{open: openSimple, modes: allModes}.run(&some)
	suite{open: openBroken(withBatch(goodBatch)), modes: allModes}.run(&all)
	const always = 2 // the instance, and that capabilities stay
	if want := always + 2*len(operationRules()); len(some) != want {
		t.Errorf("a driver of five operations is asked %d questions, want %d: %q", len(some), want, some)
	}
	// Memory has every capability but Once, which has one rule.
	if want := 1 + 3*len(operationRules()) + len(capabilityRules()) - 1; len(all) != want {
		t.Errorf("a driver with capabilities is asked %d questions, want %d: %q", len(all), want, all)
	}
}

// openSimple opens a store of the five operations and nothing else.
func openSimple(testing.TB) Instance {
	return Instance{Store: struct{ store.Store }{memstore.New()}, Advance: func(time.Duration) {}}
}

func TestMutantsAreFoundOut(t *testing.T) {
	quietRapid(t)
	for _, m := range allMutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			found := make(findings)
			inspection(m.mutate).run(found)
			log, ok := found[m.rule]
			if !ok {
				t.Fatalf("rule %s did not find it out; found: %q", m.rule, slices.Sorted(maps.Keys(found)))
			}
			if !strings.Contains(log, bare(m.rule)) || strings.Contains(log, "panic") {
				t.Errorf("the failure does not name the rule, or is a panic:\n%s", log)
			}
			t.Logf("counted 1 mutants\n%s", log)
		})
	}
}

// bare is the name of a rule without its mode.
func bare(name string) string { return strings.TrimPrefix(name, batched.prefix) }

// A rule that no mutant breaks is a rule that nobody has ever seen fail.
func TestEveryRuleHasAMutant(t *testing.T) {
	broken := make(map[string]bool)
	for _, m := range allMutants {
		broken[bare(m.rule)] = true
	}
	for _, r := range concat(operationRules(), capabilityRules()) {
		if !broken[r.name] {
			t.Errorf("no mutant breaks rule %s", r.name)
		}
		delete(broken, r.name)
	}
	for name := range broken {
		t.Errorf("a mutant breaks rule %s, which does not exist", name)
	}
}

// quietRapid keeps rapid from shrinking and filing failures that are wanted.
func quietRapid(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, before) })
	}
}
