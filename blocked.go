package coord

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

// blockedRounds are what the Gathers of a coordinator wait for, each as it last said.
type blockedRounds struct {
	mu   sync.Mutex
	open []*atomic.Pointer[envelope.Blocked]
}

func (b *blockedRounds) add(r *atomic.Pointer[envelope.Blocked]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = append(b.open, r)
}

func (b *blockedRounds) remove(r *atomic.Pointer[envelope.Blocked]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o *atomic.Pointer[envelope.Blocked]) bool { return o == r })
}

func (b *blockedRounds) appendTo(all []envelope.Blocked) []envelope.Blocked {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.open {
		if w := r.Load(); w != nil {
			all = append(all, *w)
		}
	}
	return all
}

// blocked is what the next heartbeat tells of: the waits, the handler that ends with its first signal, and the rounds.
// Those who serve wait for nobody.
func (a *Coordinator) blocked() (all []envelope.Blocked) {
	t := &a.turns
	t.mu.Lock()
	for _, w := range t.waiters {
		if !w.end.IsZero() {
			all = append(all, envelope.Blocked{On: legal(w.senders), Types: legal(w.types), Since: w.end.Add(-w.timeout)})
		}
	}
	if s := t.server; s != nil && s.once {
		all = append(all, envelope.Blocked{On: legal(s.senders), Types: legal(s.types), Since: s.since})
	}
	t.mu.Unlock()
	return a.rounds.appendTo(all)
}

// legal leaves out what no signal can match.
func legal(ids []string) (all []string) {
	for _, id := range ids {
		if keys.Valid(id) {
			all = append(all, id)
		}
	}
	return all
}
