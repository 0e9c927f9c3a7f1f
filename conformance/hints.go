package conformance

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// manyChannels is how many subscriptions one client must bear.
const manyChannels = 1000

func hasHints(have inventory) bool { return have.caps.Hints != nil }

var hintRules = []rule{
	{
		name:  "subscribe-begins-with-nil",
		why:   "Subscribe calls fn with nil once the subscription stands: the subscriber then reads what it may have missed.",
		needs: hasHints,
		check: checkFirstNil,
	},
	{
		name:  "hints-arrive",
		why:   "What is published reaches every subscriber of that channel as it was, and soon: latency rests on it.",
		needs: hasHints,
		check: checkHintsArrive,
	},
	{
		name:  "hints-stay-in-their-channel",
		why:   "A hint reaches the subscribers of its channel only; a channel's name is no pattern.",
		needs: hasHints,
		check: checkChannels,
	},
	{
		name:  "cancel-ends-a-subscription",
		why:   "What is published after cancel has returned no longer reaches fn; other subscriptions go on.",
		needs: hasHints,
		check: checkCancel,
	},
	{
		name:  "a-client-has-many-channels",
		why:   "Any number of subscriptions shares one connection: a process may hold thousands of coordinators.",
		needs: hasHints,
		check: checkManyChannels,
	},
	{
		name:  "the-subscriber-owns-the-payload",
		why:   "fn owns its payload: it may keep it and write to it, and nobody else sees that.",
		needs: hasHints,
		check: checkPayloadOwned,
	},
	{
		name:  "batches-publish",
		why:   "OpPublish in a batch publishes like Publish.",
		needs: hasHints,
		check: checkBatchPublishes,
	},
	{
		name:  "publish-returns-with-its-context",
		why:   "Publish returns soon after its context ends; a lost hint need not be an error, but never a permanent one.",
		needs: hasHints,
		check: checkPublishContext,
	},
}

// inbox receives the hints of one subscription. What finds it full is dropped: hints are lossy.
type inbox struct {
	hints   chan string
	nils    chan struct{}
	cancel  func()
	foreign string // a payload that must not arrive; empty: any may
}

// subscribe returns once the subscription stands.
func (p *probe) subscribe(channel string) *inbox {
	p.Helper()
	in := p.subscribeLater(channel)
	p.wantNil(in)
	return in
}

func (p *probe) subscribeLater(channel string) *inbox {
	in := &inbox{hints: make(chan string, 100), nils: make(chan struct{}, 1)}
	in.cancel = p.caps.Hints.Subscribe(channel, in.take)
	p.Cleanup(in.cancel)
	return in
}

func (in *inbox) take(payload []byte) {
	if payload == nil {
		select {
		case in.nils <- struct{}{}:
		default:
		}
		return
	}
	select {
	case in.hints <- string(payload):
	default:
	}
}

func (p *probe) wantNil(in *inbox) {
	p.Helper()
	select {
	case <-in.nils:
	case <-time.After(p.patience):
		p.Fatalf("Subscribe did not call fn with nil within %v", p.patience)
	}
}

// wantFrom demands that what publish says it published arrives. It publishes again and again, since hints may be lost,
// and passes over what else arrives, since they may be doubled or late.
func (p *probe) wantFrom(in *inbox, publish func() string) {
	p.Helper()
	over := time.After(p.patience)
	for want := publish(); ; {
		select {
		case got := <-in.hints:
			if p.wantOwn(in, got); got == want {
				return
			}
		case <-time.After(p.patience / 10):
			want = publish()
		case <-over:
			p.Fatalf("the hint %s did not arrive within %v", brief([]byte(want)), p.patience)
		}
	}
}

func (p *probe) publish(channel, payload string) func() string {
	return func() string {
		p.Helper()
		p.must(p.caps.Hints.Publish(p.ctx, channel, []byte(payload)))
		return payload
	}
}

func checkFirstNil(p *probe) {
	p.subscribe(key("channel"))
	p.subscribe(key("channel")) // the second subscriber of a channel has missed hints as well
}

func checkHintsArrive(p *probe) {
	one, two := p.subscribe(key("channel")), p.subscribe(key("channel"))
	for _, payload := range []string{"payload", "1 entry", "\x00\xff\r\n", string(make([]byte, 100_000))} {
		p.wantFrom(one, p.publish(key("channel"), payload))
		p.wantFrom(two, p.publish(key("channel"), payload))
	}
}

func checkChannels(p *probe) {
	names := []string{"b", "a:b", "*", "A", "a*", "?"}
	foreign := make([]*inbox, len(names))
	for i, name := range names {
		foreign[i] = p.subscribe(key(name))
		foreign[i].foreign = "payload"
	}
	own := p.subscribe(key("a"))
	p.wantFrom(own, p.publish(key("a"), "payload"))
	for i, in := range foreign {
		p.wantFrom(in, p.publish(key(names[i]), "own")) // whatever was under way has come by now
	}
}

func (p *probe) wantOwn(in *inbox, got string) {
	p.Helper()
	if in.foreign != "" && got == in.foreign {
		p.Fatalf("received %q, which was not for this subscription", got)
	}
}

// wantNoForeign looks through the hints received so far.
func (p *probe) wantNoForeign(in *inbox) {
	p.Helper()
	for {
		select {
		case got := <-in.hints:
			p.wantOwn(in, got)
		default:
			return
		}
	}
}

func checkCancel(p *probe) {
	gone, stays := p.subscribe(key("channel")), p.subscribe(key("channel"))
	other := p.subscribe(key("other"))
	p.wantFrom(gone, p.publish(key("channel"), "before"))
	gone.cancel()
	gone.foreign = "after"
	for range 3 {
		p.wantFrom(stays, p.publish(key("channel"), "after"))
	}
	p.wantFrom(other, p.publish(key("other"), "after"))
	p.wantNoForeign(gone)
	p.wantFrom(p.subscribe(key("channel")), p.publish(key("channel"), "again"))
}

func checkManyChannels(p *probe) {
	name := func(i int) string { return key(fmt.Sprint("many:", i)) }
	all := make([]*inbox, manyChannels)
	for i := range all {
		all[i] = p.subscribeLater(name(i))
	}
	for _, in := range all {
		p.wantNil(in)
	}
	for i := 0; i < manyChannels; i += 37 {
		p.wantFrom(all[i], p.publish(name(i), fmt.Sprint("for ", i)))
	}
}

func checkPayloadOwned(p *probe) {
	var kept atomic.Pointer[[]byte]
	cancel := p.caps.Hints.Subscribe(key("channel"), func(payload []byte) {
		scribble(payload)
		if payload != nil {
			kept.Store(&payload)
		}
	})
	p.Cleanup(cancel)
	in := p.subscribe(key("channel"))
	mine := []byte("payload")
	p.wantFrom(in, func() string {
		p.must(p.caps.Hints.Publish(p.ctx, key("channel"), mine))
		return "payload"
	})
	copy(mine, "changed")
	p.wantFrom(in, p.publish(key("channel"), "another"))
	if b := kept.Load(); b != nil && string(*b) != "#######" {
		p.Fatalf("a payload that a subscriber kept has changed to %q", *b)
	}
}

func checkBatchPublishes(p *probe) {
	in := p.subscribe(key("channel"))
	p.wantFrom(in, func() string {
		p.batch(store.IncrOp(key("n")), store.PublishOp(key("channel"), []byte("payload")))
		return "payload"
	})
}

func checkPublishContext(p *probe) {
	if err := p.caps.Hints.Publish(ended(), key("channel"), nil); store.Permanent(err) {
		p.Fatalf("Publish with an ended context: %v is a permanent error", err)
	}
}
