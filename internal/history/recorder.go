package history

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// The keys of a log are those of one object; every other key is an object of its own.
const (
	tailPart  = ":tail"
	entryPart = ":entry:"
)

// isLog: logs are told from other objects by their names.
func isLog(object string) bool { return strings.HasSuffix(object, "log") }

// recorder is a store whose every operation is written down.
type recorder struct {
	store.Store
	caps     store.Capabilities
	history  *History
	client   int
	answers  bool // what it said is written down
	unknowns bool // what remained unknown is written down
}

// Capabilities implements store.Capable.
func (r *recorder) Capabilities() store.Capabilities {
	var caps store.Capabilities
	if r.caps.Batch != nil {
		caps.Batch = r
	}
	if r.caps.Append != nil {
		caps.Append = r
	}
	return caps
}

// SetEX implements store.Store.
func (r *recorder) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	op := store.SetEXOp(key, value, ttl)
	at := r.history.tick()
	err := r.Store.SetEX(ctx, key, value, ttl)
	r.note(at, op, store.Result{Err: err})
	return err
}

// Get implements store.Store.
func (r *recorder) Get(ctx context.Context, key string) ([]byte, error) {
	at := r.history.tick()
	value, err := r.Store.Get(ctx, key)
	r.note(at, store.GetOp(key), store.Result{Value: value, Err: err})
	return value, err
}

// Incr implements store.Store.
func (r *recorder) Incr(ctx context.Context, key string) (int64, error) {
	at := r.history.tick()
	n, err := r.Store.Incr(ctx, key)
	r.note(at, store.IncrOp(key), store.Result{N: n, Err: err})
	return n, err
}

// Expire implements store.Store.
func (r *recorder) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	at := r.history.tick()
	ok, err := r.Store.Expire(ctx, key, ttl)
	r.note(at, store.ExpireOp(key, ttl), store.Result{OK: ok, Err: err})
	return ok, err
}

// Batch implements store.Batcher. Each operation of a batch is one that took as long as the batch.
func (r *recorder) Batch(ctx context.Context, ops []store.Op) []store.Result {
	at := r.history.tick()
	results := r.caps.Batch.Batch(ctx, ops)
	for i, op := range ops {
		r.note(at, op, results[i])
	}
	return results
}

// Append implements store.Appender.
func (r *recorder) Append(ctx context.Context, a store.Append) (int64, error) {
	at := r.history.tick()
	n, err := r.caps.Append.Append(ctx, a)
	object, _, _ := strings.Cut(a.Tail, tailPart)
	r.keep(at, input{kind: push, object: object, value: string(a.Value)}, store.Result{N: n, Err: err})
	return n, err
}

func (r *recorder) note(at int64, op store.Op, res store.Result) { r.keep(at, inputOf(op), res) }

// inputOf is the operation as the model knows it. Times to live are long here, or not positive.
func inputOf(op store.Op) input {
	object, ticket, _ := strings.Cut(op.Key, entryPart)
	object, isTail := strings.CutSuffix(object, tailPart)
	in := input{object: object, value: string(op.Value)}
	in.n, _ = strconv.ParseInt(ticket, 10, 64)
	switch {
	case op.Kind == store.OpSetEX:
		in.kind = set
	case op.Kind == store.OpIncr:
		in.kind = incr
	case op.Kind == store.OpExpire:
		in.kind = remove
	case isTail:
		in.kind = tail
	case in.n > 0:
		in.kind = read
	default:
		in.kind = get
	}
	return in
}

// keep writes one operation down, or leaves it to the recorder above or below.
func (r *recorder) keep(at int64, in input, res store.Result) {
	out := outputOf(in, res)
	if out.unknown && r.unknowns || !out.unknown && r.answers {
		r.history.add(r.client, at, in, out)
	}
}

func outputOf(in input, res store.Result) output {
	switch {
	case errors.Is(res.Err, store.ErrNotFound):
		return output{missing: true}
	case errors.Is(res.Err, store.ErrNotInteger):
		return output{refused: true}
	case res.Err != nil:
		return output{unknown: true}
	case in.kind == remove:
		return output{missing: !res.OK}
	}
	return output{value: string(res.Value), n: res.N}
}
