// Package metrics shows a coord.Client to Prometheus. Its Observer is what Config.Observer takes:
//
//	o, err := metrics.New(prometheus.DefaultRegisterer)
//	c, err := coord.Open(st, coord.Config{Secret: key, Observer: o})
//
// What each metric counts:
//
//	blocking_coordination_duration_seconds{outcome}   every Wait that ended: how long it blocked. outcome: signal,
//	                                                  timeout, cancelled, fenced, closed
//	active_coordinators                               joined here, neither left nor fenced, and not suspended: others
//	                                                  see their heartbeats
//	signal_delivery_latency_seconds                   every Send that got its ACK, a rejection too: since it began
//	timeout_events_total{operation}                   wait: a Wait that ended with ErrTimeout; send: a Send that did
//	dead_coordinator_escalations_total                deaths that a monitor of this process decided; a fleet's sum has
//	                                                  each death once
//	signal_delivery_failures_total{reason}            every Send without ACK and Post without a confirmed write, by why:
//	                                                  timeout, cancelled, fenced, closed, full (the receiver has not
//	                                                  acknowledged Config.MailboxLimit of them), unavailable (the store
//	                                                  failed), store (it refused); and, as refused, every record that a
//	                                                  receiver here stepped over. Not what was no signal: ErrInvalidID,
//	                                                  ErrTooLarge
//
//	blocking_coordination_waiting                     Waits that block now
//	blocking_coordination_oldest_wait_seconds         for how long the oldest of them has; 0 where none does
//	blocking_coordination_signals_posted_total        signals confirmed in a mailbox for the first time
//	blocking_coordination_signals_reposted_total      posted again: nobody has acknowledged them yet
//	blocking_coordination_signals_handed_over_total   given to a Wait or a handler
//	blocking_coordination_signals_rejected_total      ACKs that say that the handler refused
//	blocking_coordination_signals_refused_total{reason}  records stepped over: malformed, unsigned, unknown-key, forged,
//	                                                  misrouted, stale, future, too-large, other
//	blocking_coordination_handler_panics_total        handlers that panicked
//	blocking_coordination_heartbeats_total{result}    ok or failed
//	blocking_coordination_fenced_total                incarnations that must not act any more
//	blocking_coordination_warnings_total              warnings that coordinators earned by their silence
//	blocking_coordination_work_handed_over_total      units of work that got a new owner
//	blocking_coordination_work_done_total             units that were done
//	blocking_coordination_work_failed_total           handlers of units that returned an error
//	blocking_coordination_work_set_aside_total        records about work that do not verify
//	blocking_coordination_callback_failures_total     OnDead and Spawn functions that returned an error
//	blocking_coordination_store_failures_total        attempts at the store that failed
//	blocking_coordination_store_retries_total         attempts that follow such a failure
//	blocking_coordination_store_regressions_total     losses of acknowledged writes that were noticed
//	blocking_coordination_breaker_state{state}        1 for the state of the breaker (closed, half-open, open), else 0
//
// A wait that is stuck is seen while it is stuck: the two gauges of waits are computed when they are scraped. No label
// carries an id, so there are as many series for ten thousand coordinators as for one.
package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// Observer counts what it is told. It implements coord.Observer and prometheus.Collector, and may serve several Clients
// at once; their figures add up, and the breaker's state is that of whichever changed last.
type Observer struct {
	instruments
	fleet fleet
	waits waits
}

var (
	_ coord.Observer       = (*Observer)(nil)
	_ prometheus.Collector = (*Observer)(nil)
)

// Option changes what New makes.
type Option func(*Observer)

// WithClock has the age of waits told by clock; by default, or where it is nil, by store.SystemClock. It is for programs
// on a fake clock. It has no effect where New returns an Observer that was registered before.
func WithClock(clock store.Clock) Option {
	return func(o *Observer) {
		if clock != nil {
			o.waits.clock = clock
		}
	}
}

// New registers an Observer with reg. Where one is registered already, that one is returned, so a program may call New
// for each of its Clients. The error is reg's: another collector has one of the names; or that reg is nil.
func New(reg prometheus.Registerer, opts ...Option) (*Observer, error) {
	if reg == nil {
		return nil, errors.New("metrics: no registerer")
	}
	o := &Observer{instruments: newInstruments(), waits: waits{clock: store.SystemClock}}
	for _, opt := range opts {
		opt(o)
	}
	err := reg.Register(o)
	if err == nil {
		return o, nil
	}
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if o, ok := known.ExistingCollector.(*Observer); ok {
			return o, nil
		}
	}
	return nil, fmt.Errorf("metrics: %w", err)
}

// Observe implements coord.Observer.
func (o *Observer) Observe(e coord.Event) {
	switch e := e.(type) {
	case coord.SignalPosted, coord.SignalHandedOver, coord.SignalAcknowledged, coord.SignalFailed, coord.SignalRefused,
		coord.HandlerPanicked:
		o.signal(e)
	case coord.WaitStarted:
		o.waits.started(e.Wait)
	case coord.WaitEnded:
		o.waitEnded(e)
	case coord.Joined, coord.Left, coord.Fenced, coord.Suspended, coord.Resumed, coord.Beat:
		o.member(e)
	case coord.Warned, coord.Dead, coord.WorkHandedOver, coord.WorkDone, coord.WorkFailed, coord.WorkSetAside,
		coord.HandlerFailed:
		o.monitor(e)
	default:
		o.connection(e)
	}
}

func (o *Observer) signal(e coord.Event) {
	switch e := e.(type) {
	case coord.SignalPosted:
		if e.Attempt > 1 {
			o.reposted.Inc()
		} else {
			o.posted.Inc()
		}
	case coord.SignalHandedOver:
		o.handedOver.Inc()
	case coord.SignalAcknowledged:
		o.acknowledged(e)
	case coord.SignalFailed:
		o.failed(e)
	case coord.SignalRefused:
		o.failures.WithLabelValues(reasonRefused).Inc()
		o.refused.WithLabelValues(refusal(e.Reason)).Inc()
	case coord.HandlerPanicked:
		o.panics.Inc()
	}
}

func (o *Observer) acknowledged(e coord.SignalAcknowledged) {
	o.latency.Observe(e.Latency.Seconds())
	if e.Rejected {
		o.rejected.Inc()
	}
}

func (o *Observer) failed(e coord.SignalFailed) {
	o.failures.WithLabelValues(failure(e.Err)).Inc()
	if errors.Is(e.Err, coord.ErrTimeout) {
		o.timeouts.WithLabelValues("send").Inc()
	}
}

func (o *Observer) waitEnded(e coord.WaitEnded) {
	o.waits.ended(e.Wait)
	o.blocked.WithLabelValues(e.Outcome()).Observe(e.Blocked.Seconds())
	if errors.Is(e.Err, coord.ErrTimeout) {
		o.timeouts.WithLabelValues("wait").Inc()
	}
}

func (o *Observer) member(e coord.Event) {
	switch e := e.(type) {
	case coord.Joined:
		o.fleet.joined(member{e.ID, e.Incarnation})
	case coord.Left:
		o.fleet.left(member{e.ID, e.Incarnation})
	case coord.Fenced:
		o.fenced.Inc()
		o.fleet.left(member{e.ID, e.Incarnation})
	case coord.Suspended:
		o.fleet.suspended(member{e.ID, e.Incarnation})
	case coord.Resumed:
		o.fleet.resumed(member{e.ID, e.Incarnation})
	case coord.Beat:
		o.beats.WithLabelValues(result(e.Err)).Inc()
	}
}

func (o *Observer) monitor(e coord.Event) {
	switch e.(type) {
	case coord.Warned:
		o.warnings.Inc()
	case coord.Dead:
		o.deaths.Inc()
	case coord.WorkHandedOver:
		o.workHandedOver.Inc()
	case coord.WorkDone:
		o.workDone.Inc()
	case coord.WorkFailed:
		o.workFailed.Inc()
	case coord.WorkSetAside:
		o.workSetAside.Inc()
	case coord.HandlerFailed:
		o.callbacks.Inc()
	}
}

func (o *Observer) connection(e coord.Event) {
	switch e := e.(type) {
	case coord.StoreFailed:
		o.storeFailures.Inc()
	case coord.StoreRetry:
		o.storeRetries.Inc()
	case coord.StoreRegressed:
		o.regressions.Inc()
	case coord.BreakerState:
		o.breaker(e.State)
	}
}
