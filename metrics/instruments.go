package metrics

import "github.com/prometheus/client_golang/prometheus"

// The buckets reach from below a millisecond to above every threshold that is worth an alert (deploy/prometheus).
var (
	blockedBuckets = []float64{
		.0005, .001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400,
	}
	latencyBuckets = []float64{
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 20, 30, 60, 300,
	}
)

const namespace = "blocking_coordination_"

// instruments are what is counted as it happens.
type instruments struct {
	blocked  *prometheus.HistogramVec
	latency  prometheus.Histogram
	timeouts *prometheus.CounterVec
	deaths   prometheus.Counter
	failures *prometheus.CounterVec

	posted, reposted, handedOver, rejected, panics   prometheus.Counter
	fenced, storeFailures, storeRetries, regressions prometheus.Counter

	warnings, workHandedOver, workDone, workFailed, workSetAside, callbacks prometheus.Counter

	refused, beats *prometheus.CounterVec
	breakerState   *prometheus.GaugeVec
}

func newInstruments() instruments {
	return instruments{
		blocked: histograms("blocking_coordination_duration_seconds",
			"Time spent blocked waiting for signals.", blockedBuckets, "outcome", outcomes),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signal_delivery_latency_seconds", Help: "Time from signal sent to ACK received.", Buckets: latencyBuckets,
		}),
		timeouts: counters("timeout_events_total", "Blocking timeout events.", "operation", operations),
		deaths:   counter("dead_coordinator_escalations_total", "Coordinators that a monitor here declared dead."),
		failures: counters("signal_delivery_failures_total",
			"Signals that were not delivered, and records that were refused.", "reason", failures),

		posted:        counter(namespace+"signals_posted_total", "Signals confirmed in a mailbox."),
		reposted:      counter(namespace+"signals_reposted_total", "Signals posted again for want of an ACK."),
		handedOver:    counter(namespace+"signals_handed_over_total", "Signals given to a wait or a handler."),
		rejected:      counter(namespace+"signals_rejected_total", "ACKs that reject the signal."),
		panics:        counter(namespace+"handler_panics_total", "Handlers that panicked."),
		fenced:        counter(namespace+"fenced_total", "Incarnations that must not act any more."),
		storeFailures: counter(namespace+"store_failures_total", "Attempts at the store that failed."),
		storeRetries:  counter(namespace+"store_retries_total", "Attempts at the store that follow a failed one."),
		regressions:   counter(namespace+"store_regressions_total", "Noticed losses of acknowledged writes."),

		warnings:       counter(namespace+"warnings_total", "Warnings that coordinators earned by their silence."),
		workHandedOver: counter(namespace+"work_handed_over_total", "Units of work that got a new owner."),
		workDone:       counter(namespace+"work_done_total", "Units of work that were done."),
		workFailed:     counter(namespace+"work_failed_total", "Handlers of units that returned an error."),
		workSetAside:   counter(namespace+"work_set_aside_total", "Records about work that do not verify."),
		callbacks:      counter(namespace+"callback_failures_total", "OnDead and Spawn functions that returned an error."),

		refused: counters(namespace+"signals_refused_total", "Records that were refused and stepped over.",
			"reason", refusals),
		beats:        counters(namespace+"heartbeats_total", "Heartbeats.", "result", results),
		breakerState: breakerGauge(),
	}
}

func (i *instruments) all() []prometheus.Collector {
	return []prometheus.Collector{
		i.blocked, i.latency, i.timeouts, i.deaths, i.failures,
		i.posted, i.reposted, i.handedOver, i.rejected, i.panics,
		i.fenced, i.storeFailures, i.storeRetries, i.regressions,
		i.warnings, i.workHandedOver, i.workDone, i.workFailed, i.workSetAside, i.callbacks,
		i.refused, i.beats, i.breakerState,
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help, label string, values []string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, value := range values {
		v.WithLabelValues(value)
	}
	return v
}

func histograms(name, help string, buckets []float64, label string, values []string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{label})
	for _, value := range values {
		v.WithLabelValues(value)
	}
	return v
}

func breakerGauge() *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: namespace + "breaker_state", Help: "1 for the state that the circuit breaker is in.",
	}, []string{"state"})
	setState(v, "closed")
	return v
}

func (i *instruments) breaker(state string) { setState(i.breakerState, state) }

func setState(v *prometheus.GaugeVec, now string) {
	for _, state := range states {
		value := 0.0
		if state == now {
			value = 1
		}
		v.WithLabelValues(state).Set(value)
	}
}
