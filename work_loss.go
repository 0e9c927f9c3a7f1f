package coord

import (
	"errors"
	"slices"

	"github.com/blocking-coordination/coord/internal/work"
)

// recover has everything looked for again that may be mine: the store may have lost who owns what, and what is new may
// bear the number of what was before (X3). What runs here goes on and is not begun again (X5). What was not begun yet is
// found again if it still is mine. It waits for a scan that is under way, which nobody else should do.
func (w *tasks) recover() {
	if takeTurn(w.coordinator.life, w.scans) != nil {
		return
	}
	defer func() { <-w.scans }()
	w.list.Recheck(w.begun())
	w.open.Recheck()
}

// begun returns what this process runs, goes on with when it resumes, or is about to begin, and forgets what waits.
func (w *tasks) begun() []work.Intent {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := func(i work.Intent) bool {
		return slices.ContainsFunc(w.claimed, func(c unbegun) bool { return c.Intent == i })
	}
	all := slices.DeleteFunc(slices.Clone(w.starting), waits)
	w.claimed = nil
	for _, t := range slices.Concat(w.running, w.resting) {
		all = append(all, t.intent())
	}
	return all
}

func (t *Task) intent() work.Intent { return work.Intent{Unit: t.held.Unit, Epoch: t.Epoch()} }

// starts says that i is taken and does not run yet.
func (w *tasks) starts(i work.Intent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starting = append(w.starting, i)
}

// started: i runs, or waits to be begun again.
func (w *tasks) started(i work.Intent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := slices.Index(w.starting, i); at >= 0 {
		w.starting = slices.Delete(w.starting, at, at+1)
	}
}

// noticed: where the counter of my list went back, more may be lost than what it counts.
func (w *tasks) noticed(err error) {
	if c := w.coordinator.client; errors.Is(err, ErrStoreRegressed) {
		c.run(func() { c.regressed(err) })
	}
}
