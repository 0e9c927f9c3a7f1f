package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/metrics"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

func newObserver(t testing.TB, opts ...metrics.Option) (*metrics.Observer, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	o, err := metrics.New(reg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return o, reg
}

// samples is every series of reg with its value; a histogram's is its count.
func samples(t testing.TB, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%s}", l.GetName(), l.GetValue())
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// rise is what the events move: every series that differs, and by how much.
func rise(t *testing.T, events ...coord.Event) map[string]float64 {
	o, reg := newObserver(t)
	before := samples(t, reg)
	for _, e := range events {
		o.Observe(e)
	}
	after := samples(t, reg)
	for name, v := range before {
		if after[name] -= v; after[name] == 0 {
			delete(after, name)
		}
	}
	return after
}

var boom = errors.New("boom")

func failed(err error) coord.SignalFailed { return coord.SignalFailed{Err: err} }

const (
	failures  = "signal_delivery_failures_total{reason="
	blocked   = "blocking_coordination_duration_seconds{outcome="
	timeouts  = "timeout_events_total{operation="
	state     = "blocking_coordination_breaker_state{state="
	heartbeat = "blocking_coordination_heartbeats_total{result="
)

// TestWhatEachEventCounts is the package comment as a table.
func TestWhatEachEventCounts(t *testing.T) {
	noAck := errors.Join(coord.ErrNoAck, coord.ErrTimeout)
	one := coord.Joined{ID: "a", Incarnation: 1}
	for name, c := range map[string]struct {
		events []coord.Event
		want   map[string]float64
	}{
		"posted":       {[]coord.Event{coord.SignalPosted{Attempt: 1}}, map[string]float64{"blocking_coordination_signals_posted_total": 1}},
		"reposted":     {[]coord.Event{coord.SignalPosted{Attempt: 2}}, map[string]float64{"blocking_coordination_signals_reposted_total": 1}},
		"handed over":  {[]coord.Event{coord.SignalHandedOver{}}, map[string]float64{"blocking_coordination_signals_handed_over_total": 1}},
		"acknowledged": {[]coord.Event{coord.SignalAcknowledged{Latency: time.Second}}, map[string]float64{"signal_delivery_latency_seconds": 1}},
		"rejected": {[]coord.Event{coord.SignalAcknowledged{Rejected: true}}, map[string]float64{
			"signal_delivery_latency_seconds": 1, "blocking_coordination_signals_rejected_total": 1}},
		"no ack":      {[]coord.Event{failed(noAck)}, map[string]float64{failures + "timeout}": 1, timeouts + "send}": 1}},
		"down":        {[]coord.Event{failed(errors.Join(noAck, coord.ErrUnavailable))}, map[string]float64{failures + "unavailable}": 1, timeouts + "send}": 1}},
		"cancelled":   {[]coord.Event{failed(context.Canceled)}, map[string]float64{failures + "cancelled}": 1}},
		"fenced send": {[]coord.Event{failed(coord.ErrFenced)}, map[string]float64{failures + "fenced}": 1}},
		"closed send": {[]coord.Event{failed(coord.ErrClosed)}, map[string]float64{failures + "closed}": 1}},
		"given up":    {[]coord.Event{failed(errors.Join(coord.ErrNoAck, boom))}, map[string]float64{failures + "cancelled}": 1}},
		"full":        {[]coord.Event{failed(coord.ErrMailboxFull)}, map[string]float64{failures + "full}": 1}},
		"denied":      {[]coord.Event{failed(errors.Join(coord.ErrNoAck, store.ErrDenied))}, map[string]float64{failures + "store}": 1}},
		"unknown":     {[]coord.Event{failed(boom)}, map[string]float64{failures + "store}": 1}},
		"forged": {[]coord.Event{coord.SignalRefused{Reason: "forged"}}, map[string]float64{
			failures + "refused}": 1, "blocking_coordination_signals_refused_total{reason=forged}": 1}},
		"a reason of tomorrow": {[]coord.Event{coord.SignalRefused{Reason: "coord-a"}}, map[string]float64{
			failures + "refused}": 1, "blocking_coordination_signals_refused_total{reason=other}": 1}},
		"panic":      {[]coord.Event{coord.HandlerPanicked{}}, map[string]float64{"blocking_coordination_handler_panics_total": 1}},
		"waiting":    {[]coord.Event{coord.WaitStarted{Wait: 1}, coord.WaitStarted{Wait: 2}, coord.WaitEnded{Wait: 1}}, map[string]float64{blocked + "signal}": 1, "blocking_coordination_waiting": 1, "blocking_coordination_oldest_wait_seconds": -1}},
		"timeout":    {[]coord.Event{coord.WaitEnded{Err: coord.ErrTimeout}}, map[string]float64{blocked + "timeout}": 1, timeouts + "wait}": 1}},
		"cancel":     {[]coord.Event{coord.WaitEnded{Err: context.Canceled}}, map[string]float64{blocked + "cancelled}": 1}},
		"joined":     {[]coord.Event{one, coord.Joined{ID: "a", Incarnation: 2}}, map[string]float64{"active_coordinators": 2}},
		"left":       {[]coord.Event{one, coord.Left(one)}, map[string]float64{}},
		"fenced":     {[]coord.Event{one, coord.Fenced(one)}, map[string]float64{"blocking_coordination_fenced_total": 1}},
		"suspended":  {[]coord.Event{one, coord.Suspended(one)}, map[string]float64{}},
		"resumed":    {[]coord.Event{one, coord.Suspended(one), coord.Resumed(one)}, map[string]float64{"active_coordinators": 1}},
		"late event": {[]coord.Event{one, coord.Left(one), coord.Resumed(one)}, map[string]float64{}},
		"beat":       {[]coord.Event{coord.Beat{}, coord.Beat{Err: boom}}, map[string]float64{heartbeat + "ok}": 1, heartbeat + "failed}": 1}},
		"failure":    {[]coord.Event{coord.StoreFailed{}}, map[string]float64{"blocking_coordination_store_failures_total": 1}},
		"retry":      {[]coord.Event{coord.StoreRetry{}}, map[string]float64{"blocking_coordination_store_retries_total": 1}},
		"regressed":  {[]coord.Event{coord.StoreRegressed{}}, map[string]float64{"blocking_coordination_store_regressions_total": 1}},
		"open":       {[]coord.Event{coord.BreakerState{State: "open"}}, map[string]float64{state + "open}": 1, state + "closed}": -1}},
		"dead":       {[]coord.Event{coord.Warned{}, coord.Dead{}}, map[string]float64{"dead_coordinator_escalations_total": 1, "blocking_coordination_warnings_total": 1}},
		"work": {[]coord.Event{coord.WorkHandedOver{}, coord.WorkDone{}, coord.WorkFailed{}, coord.WorkSetAside{}, coord.HandlerFailed{}}, map[string]float64{
			"blocking_coordination_work_handed_over_total": 1, "blocking_coordination_work_done_total": 1, "blocking_coordination_work_failed_total": 1,
			"blocking_coordination_work_set_aside_total": 1, "blocking_coordination_callback_failures_total": 1}},
		"nothing": {[]coord.Event{coord.StoreRestored{}, coord.HeartbeatResumed{}}, map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := rise(t, c.events...)
			if got["blocking_coordination_oldest_wait_seconds"] > 0 {
				got["blocking_coordination_oldest_wait_seconds"] = -1 // some time has passed
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

func TestRegisteringTwiceReuses(t *testing.T) {
	first, reg := newObserver(t)
	second, err := metrics.New(reg)
	if err != nil || first != second {
		t.Fatalf("got %p and %p, %v", first, second, err)
	}
}

func TestANameThatIsTakenIsAnError(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "active_coordinators", Help: "of somebody else"}))
	if o, err := metrics.New(reg); err == nil || o != nil {
		t.Fatalf("got %v, %v", o, err)
	}
}

func TestNamesAreClean(t *testing.T) {
	_, reg := newObserver(t)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}

// TestTheSixNames: dashboards of others rely on them, and on their being there before anything happened.
func TestTheSixNames(t *testing.T) {
	_, reg := newObserver(t)
	all := strings.Join(slices.Collect(maps.Keys(samples(t, reg))), "\n")
	for _, name := range []string{
		"blocking_coordination_duration_seconds", "active_coordinators", "signal_delivery_latency_seconds",
		"timeout_events_total", "dead_coordinator_escalations_total", "signal_delivery_failures_total",
	} {
		if !strings.Contains(all, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestBucketsReachBeyondTheAlerts: a quantile never exceeds the last finite bucket (R17).
func TestBucketsReachBeyondTheAlerts(t *testing.T) {
	_, reg := newObserver(t)
	thresholds := map[string]float64{
		"blocking_coordination_duration_seconds": 1800, "signal_delivery_latency_seconds": 10,
	}
	families, _ := reg.Gather()
	for _, f := range families {
		buckets := f.GetMetric()[0].GetHistogram().GetBucket()
		if len(buckets) == 0 {
			continue
		}
		low, high := buckets[0].GetUpperBound(), buckets[len(buckets)-1].GetUpperBound()
		if threshold := thresholds[f.GetName()]; low >= .001 || threshold == 0 || high <= threshold {
			t.Errorf("%s: from %v to %v", f.GetName(), low, high)
		}
	}
}

// TestNoIDInLabels: the number of series does not depend on who takes part.
func TestNoIDInLabels(t *testing.T) {
	o, reg := newObserver(t)
	before := len(samples(t, reg))
	for i := range 100 {
		id := fmt.Sprint("coord-", i)
		o.Observe(coord.Joined{ID: id})
		o.Observe(coord.SignalRefused{By: id, Reason: id})
		o.Observe(coord.WaitEnded{By: id, Err: errors.New(id)})
		o.Observe(coord.SignalFailed{From: id, To: id, Type: id, Err: errors.New(id)})
	}
	all := samples(t, reg)
	if len(all) != before {
		t.Errorf("%d series became %d", before, len(all))
	}
	if all["active_coordinators"] != 100 {
		t.Errorf("active: %v", all["active_coordinators"])
	}
}

// TestAStuckWaitIsSeenWhileItIsStuck: a histogram shows a wait only when it has ended.
func TestAStuckWaitIsSeenWhileItIsStuck(t *testing.T) {
	clock := memstore.NewFakeClock(time.Time{})
	o, reg := newObserver(t, metrics.WithClock(clock))
	o.Observe(coord.WaitStarted{By: "a", Wait: 1})
	clock.Advance(time.Minute)
	o.Observe(coord.WaitStarted{By: "a", Wait: 2})
	clock.Advance(time.Minute)
	expect(t, reg, 2, 120)
	o.Observe(coord.WaitEnded{By: "a", Wait: 1, Blocked: 2 * time.Minute})
	expect(t, reg, 1, 60)
	o.Observe(coord.WaitEnded{By: "a", Wait: 2, Err: coord.ErrTimeout})
	expect(t, reg, 0, 0)
}

func expect(t *testing.T, reg prometheus.Gatherer, waiting, oldest float64) {
	t.Helper()
	all := samples(t, reg)
	if w, age := all["blocking_coordination_waiting"], all["blocking_coordination_oldest_wait_seconds"]; w != waiting || age != oldest {
		t.Errorf("%v waiting, the oldest for %v s; want %v, %v", w, age, waiting, oldest)
	}
}

func TestConcurrentUse(t *testing.T) {
	o, reg := newObserver(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				wait := uint64(i*1000 + j)
				o.Observe(coord.Joined{ID: "a", Incarnation: int64(wait)})
				o.Observe(coord.WaitStarted{Wait: wait})
				o.Observe(coord.BreakerState{State: "open"})
				o.Observe(coord.WaitEnded{Wait: wait})
				o.Observe(coord.Left{ID: "a", Incarnation: int64(wait)})
			}
			samples(t, reg)
		})
	}
	all.Wait()
	expect(t, reg, 0, 0)
}
