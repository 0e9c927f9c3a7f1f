package conformance

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/blocking-coordination/coord/store"
)

// These rules hold for store.Batch whether or not the driver has a Batch of its own.
var batchRules = []rule{
	{
		name:  "batch-answers-each-operation",
		why:   "Batch returns one Result for each operation, in the operations' order; none for none.",
		check: checkBatchResults,
	},
	{
		name:  "batch-keeps-the-order",
		why:   "Batch does operations of one hash tag in their order: each sees what those before it did.",
		check: checkBatchOrder,
	},
	{
		name:  "batch-goes-on-after-a-permanent-error",
		why:   "An operation that fails with a permanent error does not stop those behind it.",
		check: checkBatchGoesOn,
	},
	{
		name:  "batch-publish-never-fails",
		why:   "OpPublish never fails a batch and has a Result without an error, also where nobody listens or hints do not exist.",
		check: checkBatchPublish,
	},
	{
		name: "batch-keeps-no-reference",
		why: "Batch keeps no reference to what it is given and leaves it as it is, and the caller owns each value that it " +
			"returns: none shares memory with another, also behind its end.",
		check: checkBatchOwnership,
	},
	{
		name:  "batch-is-not-limited",
		why:   "A batch may hold thousands of operations: a driver splits what its server takes no more of at once.",
		check: checkLargeBatch,
	},
	{
		name:  "batch-honours-the-context",
		why:   "With an ended context, every operation of a batch fails with the context's error or its cause.",
		check: checkBatchContext,
	},
}

// batch does ops and demands a result for each.
func (p *probe) batch(ops ...store.Op) []store.Result {
	p.Helper()
	results := store.Batch(p.ctx, p.store, ops)
	if len(results) != len(ops) {
		p.Fatalf("Batch of %d operations returned %d results", len(ops), len(results))
	}
	return results
}

// wantResult compares errors, and where none is wanted all the rest: beside an error the rest means nothing.
func (p *probe) wantResult(i int, got store.Result, value string, n int64, ok bool, want error) {
	p.Helper()
	if !agree(got, store.Result{Value: []byte(value), N: n, OK: ok, Err: want}) {
		p.Fatalf("result %d of the batch is {%q %d %t %v}, want {%q %d %t %v}",
			i, got.Value, got.N, got.OK, got.Err, value, n, ok, want)
	}
}

func agree(got, want store.Result) bool {
	if want.Err != nil {
		return errors.Is(got.Err, want.Err)
	}
	return got.Err == nil && string(got.Value) == string(want.Value) && got.N == want.N && got.OK == want.OK
}

func checkBatchResults(p *probe) {
	p.batch()
	p.setex(key("a"), "old", hour)
	got := p.batch(
		store.GetOp(key("a")), store.IncrOp(key("n")), store.SetEXOp(key("b"), []byte("new"), hour),
		store.ExpireOp(key("nobody"), hour), store.GetOp(key("nobody")), store.ExpireOp(key("a"), minute),
		store.GetOp(key("b")), store.IncrOp(key("n")),
	)
	p.wantResult(0, got[0], "old", 0, false, nil)
	p.wantResult(1, got[1], "", 1, false, nil)
	p.wantResult(2, got[2], "", 0, false, nil)
	p.wantResult(3, got[3], "", 0, false, nil)
	p.wantResult(4, got[4], "", 0, false, store.ErrNotFound)
	p.wantResult(5, got[5], "", 0, true, nil)
	p.wantResult(6, got[6], "new", 0, false, nil)
	p.wantResult(7, got[7], "", 2, false, nil)
}

func checkBatchOrder(p *probe) {
	k := key("k")
	got := p.batch(
		store.SetEXOp(k, []byte("1"), hour), store.GetOp(k), store.IncrOp(k), store.SetEXOp(k, []byte("7"), minute),
		store.GetOp(k), store.ExpireOp(k, 0), store.GetOp(k), store.IncrOp(k), store.ExpireOp(k, 10*minute),
	)
	p.wantResult(1, got[1], "1", 0, false, nil)
	p.wantResult(2, got[2], "", 2, false, nil)
	p.wantResult(4, got[4], "7", 0, false, nil)
	p.wantResult(5, got[5], "", 0, true, nil)
	p.wantResult(6, got[6], "", 0, false, store.ErrNotFound)
	p.wantResult(7, got[7], "", 1, false, nil)
	p.wantResult(8, got[8], "", 0, true, nil)
	p.wantValue(k, "1")
	p.advance(hour)
	p.wantMissing(k)
}

func checkBatchGoesOn(p *probe) {
	p.setex(key("text"), "abc", hour)
	p.setex(key("max"), fmt.Sprint(math.MaxInt64), hour)
	got := p.batch(
		store.IncrOp(key("text")), store.IncrOp(key("n")), store.SetEXOp(key("never"), nil, 0), store.IncrOp(key("n")),
		store.GetOp(key("nobody")), store.IncrOp(key("n")), store.IncrOp(key("max")), store.IncrOp(key("n")),
	)
	for i, want := range []error{store.ErrNotInteger, store.ErrInvalidTTL, store.ErrNotFound, store.ErrNotInteger} {
		p.wantResult(2*i, got[2*i], "", 0, false, want)
		p.wantResult(2*i+1, got[2*i+1], "", int64(i+1), false, nil)
	}
	p.wantValue(key("text"), "abc")
	p.wantMissing(key("never"))
}

func checkBatchPublish(p *probe) {
	got := p.batch(
		store.PublishOp(key("channel"), []byte("payload")), store.IncrOp(key("n")), store.PublishOp(key("channel"), nil),
		store.IncrOp(key("n")),
	)
	p.wantResult(0, got[0], "", 0, false, nil)
	p.wantResult(1, got[1], "", 1, false, nil)
	p.wantResult(2, got[2], "", 0, false, nil)
	p.wantResult(3, got[3], "", 2, false, nil)
	p.wantKeys(key(""), key("n"))
}

func checkBatchOwnership(p *probe) {
	value := []byte("value")
	ops := []store.Op{store.SetEXOp(key("k"), value, hour), store.GetOp(key("k")), store.GetOp(key("k"))}
	given := slices.Clone(ops)
	got := p.batch(ops...)
	if !reflect.DeepEqual(ops, given) {
		p.Fatalf("Batch changed the operations that it was given: %+v were %+v", ops, given)
	}
	scribble(value)
	scribble(got[1].Value)
	p.wantResult(2, got[2], "value", 0, false, nil)
	p.wantValue(key("k"), "value")
}

func checkLargeBatch(p *probe) {
	ops := make([]store.Op, 5000)
	for i := range ops {
		ops[i] = store.IncrOp(key("n"))
	}
	for i, r := range p.batch(ops...) {
		p.wantResult(i, r, "", int64(i+1), false, nil)
	}
}

func checkBatchContext(p *probe) {
	ops := []store.Op{store.SetEXOp(key("k"), nil, hour), store.GetOp(key("k")), store.IncrOp(key("n"))}
	results := store.Batch(ended(), p.store, ops)
	if len(results) != len(ops) {
		p.Fatalf("Batch of %d operations returned %d results", len(ops), len(results))
	}
	for _, r := range results {
		p.wantEnded("Batch", r.Err)
	}
}
