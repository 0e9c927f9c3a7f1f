// Package history checks that the operations on each key of a store are linearizable, from what concurrent clients saw
// while the store failed under them. An operation whose outcome is unknown stays open to the end of the history: it may
// have taken effect, at any later time, or never.
package history

import (
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/blocking-coordination/coord/store"
)

// History is what clients did and saw. It is safe for concurrent use.
type History struct {
	clock atomic.Int64 // counts calls and returns: they need an order, not a time
	open  atomic.Int64 // how many outcomes are unknown

	mu  sync.Mutex
	ops []porcupine.Operation
}

func (h *History) tick() int64 { return h.clock.Add(1) }

// Of returns s, with all that client does written down.
func (h *History) Of(client int, s store.Store) store.Store {
	return &recorder{Store: s, caps: store.CapabilitiesOf(s), history: h, client: client, answers: true, unknowns: true}
}

// Answers and Unknowns are for what tries an operation again, such as a breaker: its answers are those of the last attempt,
// and each attempt below it that failed is an operation of its own, which may still happen.
func (h *History) Answers(client int, s store.Store) store.Store {
	return &recorder{Store: s, caps: store.CapabilitiesOf(s), history: h, client: client, answers: true}
}

// Unknowns is the other half of Answers.
func (h *History) Unknowns(client int, s store.Store) store.Store {
	return &recorder{Store: s, caps: store.CapabilitiesOf(s), history: h, client: client, unknowns: true}
}

func (h *History) add(client int, at int64, in input, out output) {
	if out.unknown && in.kind.reads() {
		return // it explains nothing
	}
	op := porcupine.Operation{ClientId: client, Input: in, Call: at, Output: out, Return: h.tick()}
	if out.unknown {
		op.Return = math.MaxInt64
		op.ClientId = 1000 + int(h.open.Add(1)) // for the picture: its client goes on meanwhile
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// Len counts the operations.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Open counts the writes whose outcome is unknown.
func (h *History) Open() int { return int(h.open.Load()) }

// plain returns the operations, where open entries that nobody read are all alike: else each order of them would be tried.
func (h *History) plain() []porcupine.Operation {
	seen := map[string]bool{}
	for _, op := range h.ops {
		if op.Input.(input).kind == read {
			seen[op.Output.(output).value] = true
		}
	}
	ops := slices.Clone(h.ops)
	for i, op := range ops {
		in := op.Input.(input)
		if in.kind == push && op.Output.(output).unknown && !seen[in.value] {
			in.value = "?"
			ops[i].Input = in
		}
	}
	return ops
}

// patience bounds the search for an order. A history of Play is decided in milliseconds.
const patience = 2 * time.Minute

// Linearizable reports whether there is an order that explains what everybody saw.
func (h *History) Linearizable() bool {
	return porcupine.CheckOperationsTimeout(model, h.plain(), patience) == porcupine.Ok
}

// Check fails tb unless the history is linearizable, and draws what is not into a file.
func (h *History) Check(tb testing.TB) {
	tb.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, h.plain(), patience)
	switch result {
	case porcupine.Ok:
		return
	case porcupine.Unknown:
		tb.Fatalf("%d operations, %d of them open, were not judged within %v", h.Len(), h.Open(), patience)
	}
	tb.Fatalf("%d operations, %d of them open, are not linearizable: see %s", h.Len(), h.Open(), draw(tb, info))
}

func draw(tb testing.TB, info porcupine.LinearizationInfo) string {
	tb.Helper()
	f, err := os.CreateTemp("", "history-*.html")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := porcupine.Visualize(model, info, f); err != nil {
		tb.Fatal(err)
	}
	return f.Name()
}
