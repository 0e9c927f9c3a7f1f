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

// fleet is who is joined in this process, and whether others see its heartbeats.
type fleet struct {
	mu      sync.Mutex
	members map[member]bool // true while its heartbeats stand
}

func (f *fleet) joined(m member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == nil {
		f.members = map[member]bool{}
	}
	f.members[m] = true
}

func (f *fleet) left(m member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, m)
}

func (f *fleet) suspended(m member, suspended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, joined := f.members[m]; joined {
		f.members[m] = !suspended
	}
}

func (f *fleet) active() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, beating := range f.members {
		if beating {
			n++
		}
	}
	return n
}
