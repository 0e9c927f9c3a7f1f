package detect_test

import (
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/sim"
)

type mutant struct {
	name  string
	check detect.Mutant
	alone bool // R8
	index bool // a late index is needed to see it
	loss  bool // a store that loses its data is
}

var mutants = []mutant{
	{name: "R5: KEYS instead of a registry", check: detect.Mutant{KeysOnly: true}},
	{name: "R6: age by the sender's clock", check: detect.Mutant{SenderAge: true}},
	{name: "R7: Incr and Expire for warnings", check: detect.Mutant{Counter: true}},
	{name: "R8: each detector decides alone", alone: true},
	{name: "no self-doubt: silence grows across a gap of the monitor's own", check: detect.Mutant{NoDoubt: true}},
	{name: "silence grows across a failed poll", check: detect.Mutant{Deaf: true}},
	{name: "warnings without spacing", check: detect.Mutant{Hasty: true}},
	{name: "a new beat does not void the warnings", check: detect.Mutant{Everlasting: true}},
	{name: "any beat that stands is life", check: detect.Mutant{Forgetful: true}},
	{name: "a forged beat is life", check: detect.Mutant{Gullible: true}},
	{name: "who left is not asked for", check: detect.Mutant{Inattentive: true}},
	{name: "the warnings of others are not read", check: detect.Mutant{Private: true}},
	{name: "who was never heard is never silent", check: detect.Mutant{Unbegun: true}},
	{name: "who was never heard is stale at once", check: detect.Mutant{Impatient: true}},
	{name: "who registered just now is taken for absent", check: detect.Mutant{Registered: true}},
	{name: "who is absent at first has less than a beat and a check left", check: detect.Mutant{Sparing: true}},
	{name: "after a gap an absent heartbeat proves all the silence before it", check: detect.Mutant{Remembering: true}},
	{name: "superseded incarnations are forgotten", check: detect.Mutant{Blurred: true}},
	{name: "that the store lost its data is not noticed", check: detect.Mutant{Oblivious: true}, loss: true},
	{name: "the dead are remembered though the store lost its data", check: detect.Mutant{Mourning: true}, loss: true},
	{name: "what the late index calls on time is believed for ever", check: detect.Mutant{Believing: true}, index: true},
	{name: "whom the late index does not know is not looked at", check: detect.Mutant{Strange: true}, index: true},
	{name: "silence is counted from the late index's time", check: detect.Mutant{Indexed: true}, index: true},
}

// found looks for a ward that shows a mutant's fault, and returns the plainest of its kind and how many checks it took.
func (m mutant) found(limit int) (w *ward, checks int) {
	for seed := uint64(0); checks < limit; seed++ {
		tape := &sim.Recorder{Chooser: dice(seed)}
		if w = m.play(seed, tape); w.wrong != "" {
			return m.shrunk(seed, tape.Tape), checks + w.checks
		}
		checks += w.checks
	}
	return nil, checks
}

func (m mutant) shrunk(seed uint64, tape []int) *ward {
	tape = sim.Shrink(tape, 300, func(c sim.Chooser) bool { return m.play(seed, c).wrong != "" })
	return m.play(seed, sim.Replay(tape))
}

func (m mutant) play(seed uint64, c sim.Chooser) *ward {
	d, check := draw{c, m.alone, m.index, m.loss}, procedure(m.check.Check)
	if m.check == (detect.Mutant{}) {
		check = (*detect.Watch).Check
	}
	if seed%2 == 0 {
		return d.calm(check)
	}
	return d.stormy(check, true)
}

// killedWithin is how many checks it takes at most to find a mutant.
const killedWithin = 150_000

// Every rule is needed: without it a promise is broken, and the wards show how.
func TestMutants(t *testing.T) {
	if !thorough {
		t.Skip("one goroutine at a time")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			w, checks := m.found(killedWithin)
			if w == nil {
				t.Fatalf("survived %d checks", checks)
			}
			t.Logf("killed after %d checks: %s", checks, w.transcript())
			t.Log("counted 1 mutants")
		})
	}
}

// twoSilences: a beat ends the first silence of p, and nobody sees that beat who counts the second. Either the monitor
// began after both, or it was away when it came.
func twoSilences(check procedure, away bool) *ward {
	w := newWard(defaults)
	w.check, w.calm = check, false
	m, witness := w.hire("m", 0), w.hire("witness", time.Second)
	p := w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute+1, func() { p.isolate(190 * time.Second) })
	w.at(270*time.Second, func() { p.isolate(10 * time.Minute) })
	if away {
		w.at(245*time.Second, func() { m.isolate(125 * time.Second); witness.cut = true })
	} else {
		w.at(155*time.Second, func() { m.restart(); witness.cut = true })
		w.at(366*time.Second, m.restart)
	}
	w.until(20 * time.Minute)
	return w
}

// Warnings of an earlier silence do not shorten the next, where the beat between came and went unseen.
func TestWarningsOfAnEarlierSilence(t *testing.T) {
	for _, away := range []bool{false, true} {
		w := twoSilences((*detect.Watch).Check, away)
		if w.wantFine(t); w.count(mine) != 1 {
			t.Fatal(w.transcript())
		}
		if w = twoSilences(detect.Mutant{Trusting: true}.Check, away); w.wrong == "" {
			t.Errorf("away %v: it makes no difference: %s", away, w.transcript())
		} else {
			t.Log(w.transcript())
		}
	}
	t.Log("counted 1 mutants")
}
