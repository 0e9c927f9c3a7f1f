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
	cutShort   // a part of it happened, from the beginning
	crashFirst
	crashAfter
)

var outcomes = [...]string{
	"ok", "failed", "answer lost", "answer lost, happens later", "cut short", "crashed before it", "crashed after it",
}

// operation is what an actor asks of the store in one step.
type operation struct {
	what  string
	write bool
	parts int                             // 1, but for a batch
	run   func(parts int) (string, error) // carries out so many of its parts
}

// do runs an operation of one part.
func (f *faulty) do(what string, write bool, op func() (string, error)) error {
	_, err := f.carryOut(operation{what, write, 1, func(int) (string, error) { return op() }})
	return err
}

// carryOut yields, chooses what becomes of o, and does that. It returns how many parts were answered.
func (f *faulty) carryOut(o operation) (answered int, err error) {
	a := f.actor
	if a.crashed {
		return 0, ErrFault // deferred code of the dead finds the store refusing
	}
	a.pause()
	outcome := f.outcome(o)
	if outcome == failBefore || outcome == ghostly || outcome == crashFirst {
		return f.leaveUndone(o, outcome)
	}
	done := o.parts
	if outcome == cutShort || outcome == crashAfter {
		done = 1 + a.world.choose("next", o.parts)
	}
	result, err := o.run(done)
	if err != nil {
		result = err.Error()
	}
	return f.leaveDone(o, outcome, done, result, err)
}

// leaveUndone: o has not happened, when its actor goes on.
func (f *faulty) leaveUndone(o operation, outcome int) (int, error) {
	w := f.actor.world
	w.Seen(outcomes[outcome])
	w.note(f.actor, o.what, outcomes[outcome])
	switch outcome {
	case crashFirst:
		f.actor.die()
	case ghostly:
		w.ghosts = append(w.ghosts, ghost{f.actor.Name, o.what, func() { _, _ = o.run(o.parts) }})
	}
	return 0, ErrFault
}

// leaveDone: o has happened, or the first parts of it.
func (f *faulty) leaveDone(o operation, outcome, done int, result string, err error) (int, error) {
	w := f.actor.world
	if outcome == fine {
		w.note(f.actor, o.what, result)
		return o.parts, err
	}
	w.Seen(outcomes[outcome])
	w.note(f.actor, o.what, result+" ("+outcomes[outcome]+")")
	switch outcome {
	case crashAfter:
		f.actor.die()
	case cutShort:
		return w.choose("next", min(done+1, o.parts)), ErrFault
	}
	return 0, ErrFault
}

// outcome draws what becomes of o, within what is left of the run's faults and crashes.
func (f *faulty) outcome(o operation) int {
	w := f.actor.world
	possible := []int{fine}
	if w.opts.Faults > 0 {
		possible = append(possible, failBefore)
		if o.write {
			possible = append(possible, lostAnswer, ghostly)
		}
		if o.write && o.parts > 1 {
			possible = append(possible, cutShort)
		}
	}
	if w.opts.Crashes > 0 {
		possible = append(possible, crashFirst)
		if o.write {
			possible = append(possible, crashAfter)
		}
	}
	chosen := possible[w.choose("outcome", len(possible))]
	switch chosen {
	case failBefore, lostAnswer, ghostly, cutShort:
		w.opts.Faults--
	case crashFirst, crashAfter:
		w.opts.Crashes--
	}
	return chosen
}

func (f *faulty) mem() store.Store { return f.actor.world.Store }

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
