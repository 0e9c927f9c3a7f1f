package memstore

import (
	"container/heap"
	"sync"
	"time"
)

// FakeClock is a store.Clock that stands still until Advance moves it. All methods may be called concurrently and from
// its own callbacks. Build it with NewFakeClock; give the same one to everything that must agree on the time:
//
//	clock := memstore.NewFakeClock(time.Time{})
//	s := memstore.New(memstore.WithClock(clock))
type FakeClock struct {
	mu        sync.Mutex // never held while a callback runs
	now       time.Time
	target    time.Time // where the Advance under way will end
	advancing bool
	timers    timerHeap
	created   uint64
}

// NewFakeClock returns a clock that shows start; the zero time stands for midnight UTC of 1 January 2000.
func NewFakeClock(start time.Time) *FakeClock {
	if start.IsZero() {
		start = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return &FakeClock{now: start, target: start}
}

// Now implements store.Clock. Inside a callback it is that callback's deadline.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc implements store.Clock. f runs in the goroutine that advances the clock, never inside AfterFunc itself: a d
// that is not positive is due now, and runs with the next Advance, even of 0, or with the one under way.
func (c *FakeClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created++
	t := &timer{deadline: c.now.Add(max(d, 0)), created: c.created, f: f}
	heap.Push(&c.timers, t)
	return func() bool { return c.stop(t) }
}

// Advance moves the clock by d (a negative d counts as 0) and meanwhile calls what falls due, one after another in the
// order of deadlines, those of one deadline in the order of their creation. A callback may create timers; those that
// fall due in time are called too. Advance returns when all this is done, with one exception: while another Advance is
// under way, in a callback that itself advances as well as in another goroutine, it adds d to that one's journey and
// returns at once. Only so can it neither deadlock nor show a callback another time than its own.
func (c *FakeClock) Advance(d time.Duration) {
	if c.join(max(d, 0)) {
		return
	}
	arrived := false
	defer func() {
		if !arrived { // a callback panicked or ended its goroutine
			c.abandon()
		}
	}()
	for f := c.step(); f != nil; f = c.step() {
		f()
	}
	arrived = true
}

// Next returns the deadline of the next callback, and false where none is waiting. It is for tests that walk from one
// event to the next instead of guessing how far to advance.
func (c *FakeClock) Next() (deadline time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].deadline, true
}

// Pending returns how many callbacks are waiting. It is for tests that prove that no timer was left behind.
func (c *FakeClock) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// join reports whether an Advance under way takes d on; else it makes the caller the one under way.
func (c *FakeClock) join(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = c.target.Add(d)
	joined := c.advancing
	c.advancing = true
	return joined
}

// step moves to the next deadline up to the target and returns its callback, or nil where none is left. Nobody can join
// between that nil and the end of the journey, so what they added is never lost.
func (c *FakeClock) step() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 || c.timers[0].deadline.After(c.target) {
		c.now, c.advancing = c.target, false
		return nil
	}
	t := heap.Pop(&c.timers).(*timer)
	c.now = t.deadline
	return t.f
}

// abandon ends a journey that a callback broke off: the clock stays where that callback saw it.
func (c *FakeClock) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target, c.advancing = c.now, false
}

func (c *FakeClock) stop(t *timer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.place == gone {
		return false
	}
	heap.Remove(&c.timers, t.place)
	return true
}

// gone is the place of a timer that was called or stopped.
const gone = -1

type timer struct {
	deadline time.Time
	created  uint64
	f        func()
	place    int // in the heap
}

// timerHeap implements heap.Interface: the earliest deadline first, then the oldest timer.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].deadline.Equal(h[j].deadline) {
		return h[i].created < h[j].created
	}
	return h[i].deadline.Before(h[j].deadline)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.place = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h, t.place = (*h)[:last], gone
	return t
}
