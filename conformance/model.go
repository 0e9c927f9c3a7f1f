package conformance

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/blocking-coordination/coord/store"
)

var modelRules = []rule{
	{
		name:  "any-history-agrees-with-the-model",
		why:   "Whatever the order of operations and the passing of time, a store behaves like a map with deadlines.",
		check: checkModel,
	},
}

// tick is what time moves by in the model. Times to live are odd multiples of half a tick, so that no deadline comes
// closer than half a tick to an operation: the real seconds that a slow machine takes change nothing.
const tick = 20 * time.Second

// cell is a key of the model.
type cell struct {
	value    string
	deadline time.Duration // since the history began
}

// immortal is the deadline of a key without a time to live.
const immortal = time.Duration(math.MaxInt64)

// history runs one random sequence of operations against both. Every history has keys of its own.
type history struct {
	*probe
	prefix string
	now    time.Duration
	cells  map[string]cell
}

func checkModel(p *probe) {
	n, failed := 0, false
	rapid.Check(p.TB, func(t *rapid.T) {
		if time.Since(p.began) > budget && !failed {
			return // a slow driver has proved enough
		}
		n++
		h, end := p.history(key(fmt.Sprintf("h%d:", n)))
		defer end()
		defer func() { failed = failed || t.Failed() }()
		t.Repeat(map[string]func(*rapid.T){
			"":        h.wantSameKeys,
			"setex":   h.setexStep,
			"get":     h.getStep,
			"incr":    h.incrStep,
			"expire":  h.expireStep,
			"delete":  h.deleteStep,
			"batch":   h.batchStep,
			"advance": h.advanceStep,
		})
	})
}

// history begins one, with a limit of its own.
func (p *probe) history(prefix string) (h *history, end func()) {
	own := *p
	var cancel context.CancelFunc
	own.ctx, cancel = context.WithTimeout(context.Background(), limit)
	h = &history{probe: &own, prefix: prefix, cells: make(map[string]cell)}
	return h, func() {
		h.clear()
		p.slow = p.slow || own.ctx.Err() != nil
		cancel()
	}
}

func (h *history) clear() {
	for name := range h.cells {
		_, _ = h.store.Expire(h.ctx, name, 0)
	}
}

var (
	anyName  = rapid.SampledFrom([]string{"a", "b", "ab", "a*", "", "a:b"})
	anyValue = rapid.OneOf(
		rapid.SampledFrom([]string{"", "0", "7", "-1", "+1", "01", "9223372036854775807", "9223372036854775806"}),
		rapid.StringN(0, 20, -1),
	)
	anyTTL = rapid.Map(rapid.IntRange(0, 5), func(n int) time.Duration { return time.Duration(2*n+1) * tick / 2 })
)

func (h *history) draw(t *rapid.T) string { return h.prefix + anyName.Draw(t, "key") }

func (h *history) setexStep(t *rapid.T) {
	op := store.SetEXOp(h.draw(t), []byte(anyValue.Draw(t, "value")), anyTTL.Draw(t, "ttl"))
	h.compare(t, op, store.Result{Err: h.store.SetEX(h.ctx, op.Key, op.Value, op.TTL)})
}

func (h *history) getStep(t *rapid.T) {
	op := store.GetOp(h.draw(t))
	value, err := h.store.Get(h.ctx, op.Key)
	h.compare(t, op, store.Result{Value: value, Err: err})
}

func (h *history) incrStep(t *rapid.T) {
	op := store.IncrOp(h.draw(t))
	n, err := h.store.Incr(h.ctx, op.Key)
	h.compare(t, op, store.Result{N: n, Err: err})
}

func (h *history) expireStep(t *rapid.T) {
	op := store.ExpireOp(h.draw(t), anyTTL.Draw(t, "ttl"))
	ok, err := h.store.Expire(h.ctx, op.Key, op.TTL)
	h.compare(t, op, store.Result{OK: ok, Err: err})
}

func (h *history) deleteStep(t *rapid.T) {
	op := store.ExpireOp(h.draw(t), 0)
	ok, err := h.store.Expire(h.ctx, op.Key, op.TTL)
	h.compare(t, op, store.Result{OK: ok, Err: err})
}

func (h *history) batchStep(t *rapid.T) {
	ops := rapid.SliceOfN(rapid.Custom(h.anyOp), 1, 8).Draw(t, "ops")
	results := store.Batch(h.ctx, h.store, ops)
	if len(results) != len(ops) {
		t.Fatalf("Batch of %d operations returned %d results", len(ops), len(results))
	}
	for i, op := range ops {
		h.compare(t, op, results[i])
	}
}

func (h *history) anyOp(t *rapid.T) store.Op {
	name := h.draw(t)
	switch rapid.SampledFrom([]store.OpKind{store.OpSetEX, store.OpGet, store.OpIncr, store.OpExpire}).Draw(t, "kind") {
	case store.OpSetEX:
		return store.SetEXOp(name, []byte(anyValue.Draw(t, "value")), anyTTL.Draw(t, "ttl"))
	case store.OpGet:
		return store.GetOp(name)
	case store.OpIncr:
		return store.IncrOp(name)
	default:
		return store.ExpireOp(name, anyTTL.Draw(t, "ttl"))
	}
}

func (h *history) advanceStep(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 4).Draw(t, "ticks")) * tick
	h.advance(d)
	h.now += d
	for name, c := range h.cells {
		if c.deadline < h.now {
			delete(h.cells, name)
		}
	}
}

// wantSameKeys is the invariant: the model has no dead cells, so its names are the keys.
func (h *history) wantSameKeys(t *rapid.T) {
	for _, prefix := range []string{h.prefix, h.prefix + "a", h.prefix + "a*"} {
		got, err := h.store.Keys(h.ctx, prefix)
		slices.Sort(got)
		if want := h.names(prefix); err != nil || !slices.Equal(got, want) {
			t.Fatalf("Keys(%q) = %q, %v; want %q", prefix, got, err, want)
		}
	}
}

func (h *history) names(prefix string) (names []string) {
	for name := range h.cells {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (h *history) compare(t *rapid.T, op store.Op, got store.Result) {
	want := h.apply(op)
	if !agree(got, want) {
		t.Fatalf("operation %d on %q: got {%q %d %t %v}, want {%q %d %t %v}",
			op.Kind, op.Key, got.Value, got.N, got.OK, got.Err, want.Value, want.N, want.OK, want.Err)
	}
}

// apply does op on the model.
func (h *history) apply(op store.Op) store.Result {
	c, ok := h.cells[op.Key]
	switch op.Kind {
	case store.OpSetEX:
		h.cells[op.Key] = cell{string(op.Value), h.now + op.TTL}
		return store.Result{}
	case store.OpGet:
		return getCell(c, ok)
	case store.OpIncr:
		return h.incrCell(op.Key, c, ok)
	default:
		return h.expireCell(op, c, ok)
	}
}

func getCell(c cell, ok bool) store.Result {
	if !ok {
		return store.Result{Err: store.ErrNotFound}
	}
	return store.Result{Value: []byte(c.value)}
}

func (h *history) incrCell(name string, c cell, ok bool) store.Result {
	if !ok {
		c = cell{"0", immortal}
	}
	n, err := strconv.ParseInt(c.value, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != c.value || n == math.MaxInt64 {
		return store.Result{Err: store.ErrNotInteger}
	}
	h.cells[name] = cell{strconv.FormatInt(n+1, 10), c.deadline}
	return store.Result{N: n + 1}
}

func (h *history) expireCell(op store.Op, c cell, ok bool) store.Result {
	switch {
	case !ok:
	case op.TTL <= 0:
		delete(h.cells, op.Key)
	default:
		h.cells[op.Key] = cell{c.value, h.now + op.TTL}
	}
	return store.Result{OK: ok}
}
