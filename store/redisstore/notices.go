package redisstore

import (
	"sync"

	"github.com/blocking-coordination/coord/store"
)

// notices is who wants to know what happens to the connection.
type notices struct {
	mu   sync.Mutex
	next int
	fns  map[int]func(store.Notice)
}

func (n *notices) notify(fn func(store.Notice)) (cancel func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fns == nil {
		n.fns = map[int]func(store.Notice){}
	}
	id := n.next
	n.next++
	n.fns[id] = fn
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.fns, id)
	}
}

// tell calls everybody with no lock held.
func (n *notices) tell(what store.Notice) {
	n.mu.Lock()
	fns := make([]func(store.Notice), 0, len(n.fns))
	for _, fn := range n.fns {
		fns = append(fns, fn)
	}
	n.mu.Unlock()
	for _, fn := range fns {
		fn(what)
	}
}
