package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/blocking-coordination/coord/store"
)

// Capabilities: append, batch and the late index, each call one step, where the run wants them and the world's store has
// them. Everything else is the fallback, which yields at every operation.
func (f *faulty) Capabilities() (caps store.Capabilities) {
	opts, has := f.actor.world.opts, store.CapabilitiesOf(f.mem())
	if opts.Append && has.Append != nil {
		caps.Append = f
	}
	if opts.Batch && has.Batch != nil {
		caps.Batch = f
	}
	if opts.Late && has.Late != nil {
		caps.Late = late{f}
	}
	return caps
}

func (f *faulty) Append(ctx context.Context, ap store.Append) (n int64, err error) {
	err = f.do("Append "+ap.Tail, true, func() (s string, err error) {
		ap.Channel = ""
		n, err = store.CapabilitiesOf(f.mem()).Append.Append(ctx, ap)
		return fmt.Sprint(n, " ", summary(ap.Value)), err
	})
	return n, err
}

// Batch is one step. Where it fails, all of it may have happened or nothing, or all of it may happen later, or what
// happened and what was answered each end somewhere in the list.
func (f *faulty) Batch(ctx context.Context, ops []store.Op) []store.Result {
	o := operation{what: fmt.Sprintf("Batch of %d", len(ops)), parts: len(ops)}
	for _, op := range ops {
		o.write = o.write || op.Kind != store.OpGet
	}
	var got []store.Result
	o.run = func(parts int) (string, error) {
		got = store.CapabilitiesOf(f.mem()).Batch.Batch(ctx, ops[:parts])
		for i, r := range got {
			f.actor.world.note(f.actor, fmt.Sprintf("  %d %s", i+1, describe(ops[i])), outcomeOf(ops[i], r))
		}
		return fmt.Sprintf("%d done", parts), nil
	}
	answered, _ := f.carryOut(o)
	results := slices.Repeat([]store.Result{{Err: ErrFault}}, len(ops))
	copy(results, got[:min(answered, len(got))])
	return results
}

func describe(op store.Op) string {
	switch op.Kind {
	case store.OpSetEX:
		return "SetEX " + op.Key
	case store.OpGet:
		return "Get " + op.Key
	case store.OpIncr:
		return "Incr " + op.Key
	case store.OpExpire:
		return fmt.Sprintf("Expire %s %v", op.Key, op.TTL)
	case store.OpPublish:
		return "Publish " + op.Key
	}
	return fmt.Sprint("Touch ", op.Key, " ", op.Members)
}

func outcomeOf(op store.Op, r store.Result) string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case op.Kind == store.OpIncr:
		return fmt.Sprint(r.N)
	case op.Kind == store.OpExpire:
		return fmt.Sprint(r.OK)
	case op.Kind == store.OpGet:
		return summary(r.Value)
	}
	return summary(op.Value)
}

func summary(value []byte) string {
	if len(value) > 40 {
		return string(value[:40]) + "…"
	}
	return string(value)
}
