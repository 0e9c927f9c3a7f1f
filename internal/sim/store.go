package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// Store is the world's store as this actor sees it: every operation yields first, and may fail.
func (a *Actor) Store() store.Store { return &faulty{a} }

type faulty struct{ actor *Actor }

// What can become of an operation.
const (
	fine       = iota
	failBefore // nothing happened
	lostAnswer // it happened
	ghostly    // it happens later, or never
	crashFirst
	crashAfter
)

var outcomes = [...]string{"ok", "failed", "answer lost", "answer lost, happens later", "crashed before it", "crashed after it"}

// do runs one operation: yield, choose its outcome, carry it out.
func (f *faulty) do(what string, write bool, op func() (string, error)) error {
	a := f.actor
	if a.crashed {
		return ErrFault // deferred code of the dead finds the store refusing
	}
	a.pause()
	w := a.world
	outcome := f.outcome(write)
	if outcome != fine {
		w.Seen(outcomes[outcome])
	}
	if outcome == failBefore || outcome == ghostly || outcome == crashFirst {
		w.note(a, what, outcomes[outcome])
	}
	switch outcome {
	case failBefore:
		return ErrFault
	case crashFirst:
		a.die()
	case ghostly:
		w.ghosts = append(w.ghosts, ghost{a.Name, what, func() { _, _ = op() }})
		return ErrFault
	}
	result, err := op()
	if err != nil {
		result = err.Error()
	}
	if outcome != fine {
		result += " (" + outcomes[outcome] + ")"
	}
	w.note(a, what, result)
	switch outcome {
	case lostAnswer:
		return ErrFault
	case crashAfter:
		a.die()
	}
	return err
}

// outcome draws what becomes of an operation, within what is left of the run's faults and crashes.
func (f *faulty) outcome(write bool) int {
	w := f.actor.world
	possible := []int{fine}
	if w.opts.Faults > 0 {
		possible = append(possible, failBefore)
		if write {
			possible = append(possible, lostAnswer, ghostly)
		}
	}
	if w.opts.Crashes > 0 {
		possible = append(possible, crashFirst)
		if write {
			possible = append(possible, crashAfter)
		}
	}
	chosen := possible[w.choose("outcome", len(possible))]
	switch chosen {
	case failBefore, lostAnswer, ghostly:
		w.opts.Faults--
	case crashFirst, crashAfter:
		w.opts.Crashes--
	}
	return chosen
}

func (f *faulty) mem() store.Store { return f.actor.world.Mem }

func (f *faulty) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return f.do("SetEX "+key, true, func() (string, error) {
		return summary(value), f.mem().SetEX(ctx, key, value, ttl)
	})
}

func (f *faulty) Get(ctx context.Context, key string) (value []byte, err error) {
	err = f.do("Get "+key, false, func() (s string, err error) {
		value, err = f.mem().Get(ctx, key)
		return summary(value), err
	})
	return value, err
}

func (f *faulty) Incr(ctx context.Context, key string) (n int64, err error) {
	err = f.do("Incr "+key, true, func() (s string, err error) {
		n, err = f.mem().Incr(ctx, key)
		return fmt.Sprint(n), err
	})
	return n, err
}

func (f *faulty) Expire(ctx context.Context, key string, ttl time.Duration) (ok bool, err error) {
	err = f.do(fmt.Sprintf("Expire %s %v", key, ttl), true, func() (s string, err error) {
		ok, err = f.mem().Expire(ctx, key, ttl)
		return fmt.Sprint(ok), err
	})
	return ok, err
}

func (f *faulty) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	err = f.do("Keys "+prefix, false, func() (s string, err error) {
		keys, err = f.mem().Keys(ctx, prefix)
		return fmt.Sprint(len(keys), " keys"), err
	})
	return keys, err
}

// Capabilities: append in one atomic step where the run wants it. Everything else is the fallback, which yields at
// every operation.
func (f *faulty) Capabilities() store.Capabilities {
	if !f.actor.world.opts.Append {
		return store.Capabilities{}
	}
	return store.Capabilities{Append: f}
}

func (f *faulty) Append(ctx context.Context, ap store.Append) (n int64, err error) {
	err = f.do("Append "+ap.Tail, true, func() (s string, err error) {
		ap.Channel = ""
		n, err = f.actor.world.Mem.Append(ctx, ap)
		return fmt.Sprint(n, " ", summary(ap.Value)), err
	})
	return n, err
}

func summary(value []byte) string {
	if len(value) > 40 {
		return string(value[:40]) + "…"
	}
	return string(value)
}
