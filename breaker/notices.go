package breaker

import (
	"slices"
	"sync"

	"github.com/blocking-coordination/coord/store"
)

// notices queues what there is to tell and tells it later, because gobreaker reports a change of state with its lock
// held. One goroutine at a time delivers, so listeners see everything in order; who finds it busy leaves his to it.
type notices struct {
	inner store.Notifier // of the wrapped store, may be nil

	mu        sync.Mutex
	listeners []*listener
	queue     []store.Notice
	busy      bool
}

type listener struct{ fn func(store.Notice) }

// Notify is store.Notifier.Notify, for the breaker's notices and the wrapped store's. The breaker's come one at a time
// and in order; fn may use the store.
func (n *notices) Notify(fn func(store.Notice)) (cancel func()) {
	l := &listener{fn}
	n.mu.Lock()
	n.listeners = append(slices.Clip(n.listeners), l)
	n.mu.Unlock()
	stop := func() {}
	if n.inner != nil {
		stop = n.inner.Notify(fn)
	}
	return func() { stop(); n.remove(l) }
}

func (n *notices) remove(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners = slices.DeleteFunc(slices.Clone(n.listeners), func(x *listener) bool { return x == l })
}

// add queues a notice. It may be called with any lock held. Nobody listening, nothing is kept.
func (n *notices) add(x store.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.listeners) > 0 {
		n.queue = append(n.queue, x)
	}
}

// flush delivers what is queued. It must be called with no lock held.
func (n *notices) flush() {
	for x, to, ok := n.next(); ok; x, to, ok = n.next() {
		n.deliver(x, to)
	}
}

func (n *notices) deliver(x store.Notice, to []*listener) {
	defer n.idle() // also when a listener panics
	for _, l := range to {
		l.fn(x)
	}
}

// next takes the oldest notice, unless somebody is delivering: he looks again when he is done.
func (n *notices) next() (store.Notice, []*listener, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy || len(n.queue) == 0 {
		return store.Notice{}, nil, false
	}
	x := n.queue[0]
	n.queue = n.queue[1:]
	n.busy = true
	return x, n.listeners, true
}

func (n *notices) idle() {
	n.mu.Lock()
	n.busy = false
	n.mu.Unlock()
}
