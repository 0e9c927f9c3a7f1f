package conformance

import (
	"context"
	"errors"

	"github.com/blocking-coordination/coord/store"
)

var contextRules = []rule{
	{
		name: "an-ended-context-is-an-error",
		why: "Every operation returns soon after its context ends, with the context's error or its cause; a shut-down " +
			"must not hang, nor take an operation for done.",
		check: checkEndedContext,
	},
	{
		name:  "contexts-are-not-kept",
		why:   "A context ends its own operation only: what others do goes on, and what was written stays.",
		check: checkContextNotKept,
	},
}

var errShutDown = errors.New("conformance: shut down")

func ended() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errShutDown)
	return ctx
}

func checkEndedContext(p *probe) {
	ctx := ended()
	p.setex(key("k"), "1", hour)
	p.wantEnded("SetEX", p.store.SetEX(ctx, key("new"), nil, hour))
	_, err := p.store.Get(ctx, key("k"))
	p.wantEnded("Get", err)
	_, err = p.store.Incr(ctx, key("k"))
	p.wantEnded("Incr", err)
	_, err = p.store.Expire(ctx, key("k"), hour)
	p.wantEnded("Expire", err)
	_, err = p.store.Keys(ctx, key(""))
	p.wantEnded("Keys", err)
}

func (p *probe) wantEnded(what string, err error) {
	p.Helper()
	if !errors.Is(err, errShutDown) && !errors.Is(err, context.Canceled) {
		p.Fatalf("%s with an ended context: got error %v, want the context's", what, err)
	}
	if store.Permanent(err) {
		p.Fatalf("%s with an ended context: %v is a permanent error", what, err)
	}
}

func checkContextNotKept(p *probe) {
	ctx, cancel := context.WithCancel(p.ctx)
	p.must(p.store.SetEX(ctx, key("k"), []byte("41"), hour))
	cancel()
	p.wantValue(key("k"), "41")
	p.wantIncr(key("k"), 42)
}
