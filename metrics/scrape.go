package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blocking-coordination/coord/store"
)

// What is computed when it is asked for.
var (
	activeDesc = prometheus.NewDesc("active_coordinators",
		"Number of coordinators with active heartbeats.", nil, nil)
	waitingDesc = prometheus.NewDesc(namespace+"waiting",
		"Waits that block now.", nil, nil)
	oldestDesc = prometheus.NewDesc(namespace+"oldest_wait_seconds",
		"How long the oldest wait that blocks now has blocked.", nil, nil)
)

// Describe implements prometheus.Collector.
func (o *Observer) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range o.all() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{activeDesc, waitingDesc, oldestDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (o *Observer) Collect(ch chan<- prometheus.Metric) {
	for _, c := range o.all() {
		c.Collect(ch)
	}
	waiting, oldest := o.waits.now()
	ch <- gauge(activeDesc, float64(o.fleet.active()))
	ch <- gauge(waitingDesc, float64(waiting))
	ch <- gauge(oldestDesc, oldest.Seconds())
}

func gauge(d *prometheus.Desc, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
}

// waits remembers when each wait that blocks began.
type waits struct {
	clock store.Clock

	mu    sync.Mutex
	began map[uint64]time.Time
}

func (w *waits) started(wait uint64) {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began == nil {
		w.began = map[uint64]time.Time{}
	}
	w.began[wait] = now
}

func (w *waits) ended(wait uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.began, wait)
}

func (w *waits) now() (waiting int, oldest time.Duration) {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, began := range w.began {
		oldest = max(oldest, now.Sub(began))
	}
	return len(w.began), oldest
}

type member struct {
	id          string
	incarnation int64
}

// fleet is who is joined in this process, and whether others see its heartbeats. Clients of several namespaces may have
// members of one name and incarnation, so they are counted.
type fleet struct {
	mu      sync.Mutex
	members map[member]count
}

// count is how many members of one name are joined, and how many of these are suspended.
type count struct{ joined, suspended int }

func (f *fleet) joined(m member) { f.change(m, 1, 0) }

// left takes whoever ended for one that was suspended, if one is: should that be wrong, its own end or return mends it.
func (f *fleet) left(m member) { f.change(m, -1, -1) }

func (f *fleet) suspended(m member) { f.change(m, 0, 1) }
func (f *fleet) resumed(m member)   { f.change(m, 0, -1) }

// change ignores what comes after the end.
func (f *fleet) change(m member, joined, suspended int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.members[m]
	n.joined += joined
	n.suspended = min(max(n.suspended+suspended, 0), n.joined)
	if n.joined <= 0 {
		delete(f.members, m)
		return
	}
	if f.members == nil {
		f.members = map[member]count{}
	}
	f.members[m] = n
}

func (f *fleet) active() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		n += m.joined - m.suspended
	}
	return n
}
