package coord

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Observer is told what happens: it is the one seam for metrics, logs and traces. It is called with no lock held,
// possibly concurrently, and must return soon: a coordinator hands nothing over meanwhile, so an observer must not wait for
// one; nor call Leave or Close, which may wait for whoever called it: start a goroutine for that.
type Observer interface {
	Observe(Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(Event)

// Observe calls f.
func (f ObserverFunc) Observe(e Event) { f(e) }

// Observers tells several observers, in order. A nil among them is skipped.
func Observers(all ...Observer) Observer {
	all = slices.DeleteFunc(slices.Clone(all), func(o Observer) bool { return o == nil })
	return ObserverFunc(func(e Event) {
		for _, o := range all {
			o.Observe(e)
		}
	})
}

// Event is one of the types below. New ones may be added: a switch over them needs no default.
type Event interface {
	// log is the event as a line for a person; an empty message is not worth one.
	log() (slog.Level, string, []slog.Attr)
}

// The events.
type (
	// Joined: a coordinator joined in this process. It is told of before its Left or Fenced. A Join that Close overtakes
	// may be Joined and Left, and return ErrClosed.
	Joined struct {
		ID          string
		Incarnation int64
	}
	// Left: a coordinator of this process left.
	Left struct {
		ID          string
		Incarnation int64
	}
	// SignalPosted: a signal stands in its receiver's mailbox. Attempt is 1, or more for a signal posted again.
	SignalPosted struct {
		ID, From, To, Type string
		Attempt            int
	}
	// SignalHandedOver: a signal was given to a Wait or a handler.
	SignalHandedOver struct{ ID, From, To, Type string }
	// SignalAcknowledged: a Send got its ACK, Latency after it began.
	SignalAcknowledged struct {
		ID, From, To, Type string
		Latency            time.Duration
		Rejected           bool
	}
	// SignalFailed: a Send ended without ACK, or a Post without a confirmed write; also one that was not even tried, for
	// ErrMailboxFull, ErrFenced or ErrClosed (ID is empty where it had none yet). What is refused for what it is, such as
	// ErrInvalidID or ErrTooLarge, is no signal.
	SignalFailed struct {
		ID, From, To, Type string
		Err                error
	}
	// SignalRefused: a record was stepped over. Reason is one word of a closed set: malformed, unsigned, unknown-key,
	// forged, misrouted, stale, future, too-large.
	SignalRefused struct {
		By     string // the coordinator that refused
		Reason string
		Err    error
	}
	// WaitStarted: a Wait began to block. Wait is its number, unique in this process.
	WaitStarted struct {
		By   string
		Wait uint64
	}
	// WaitEnded: that Wait ended after Blocked. Err is nil, ErrTimeout, or why else it ended.
	WaitEnded struct {
		By      string
		Wait    uint64
		Blocked time.Duration
		Err     error
	}
	// Beat: a heartbeat was written or not.
	Beat struct {
		ID          string
		Incarnation int64
		Err         error
	}
	// HeartbeatResumed: a heartbeat was written after some that were not.
	HeartbeatResumed struct {
		ID     string
		Silent time.Duration // since the last good beat
	}
	// Suspended: no heartbeat was written for a TTL less two Beats.
	Suspended struct {
		ID          string
		Incarnation int64
	}
	// Resumed: the same incarnation beats again after it was suspended.
	Resumed struct {
		ID          string
		Incarnation int64
	}
	// Fenced: this incarnation must not act any more.
	Fenced struct {
		ID          string
		Incarnation int64
	}
	// Warned: a coordinator has earned its K-th warning of Of; it was silent for Silent, as seen by this monitor. Every
	// monitor reports it; Mine where this one wrote it.
	Warned struct {
		ID          string
		Incarnation int64
		K, Of       int
		Silent      time.Duration
		Mine        bool
	}
	// Recovered: a coordinator that had earned warnings beats again.
	Recovered struct {
		ID          string
		Incarnation int64
	}
	// Dead: a coordinator was declared dead, once in the whole namespace: by the monitor that is told of it.
	Dead struct {
		ID          string
		Incarnation int64
		Silent      time.Duration
	}
	// WorkHandedOver: a unit of work has a new owner. Epoch is the new one's. From is empty where it had none before.
	WorkHandedOver struct {
		Unit     string
		Epoch    int64
		From, To string
	}
	// WorkDone: a unit of work is done.
	WorkDone struct {
		Unit  string
		Epoch int64
		Owner string
	}
	// WorkFailed: a handler returned an error; the unit is still owned.
	WorkFailed struct {
		Unit  string
		Epoch int64
		Owner string
		Err   error
	}
	// WorkSetAside: a record about work does not verify; everything else went on. Unit is empty where it is not known.
	WorkSetAside struct {
		Unit, Key string
		Err       error
	}
	// HandlerFailed: an OnDead or Spawn function returned an error; a Spawn is called again.
	HandlerFailed struct {
		About string
		Err   error
	}
	// StoreFailed: an attempt at the store failed.
	StoreFailed struct{ Err error }
	// StoreRetry: the store is tried again after Delay. Attempt counts from 1.
	StoreRetry struct {
		Attempt int
		Delay   time.Duration
		Err     error
	}
	// StoreRestored: the store answers again.
	StoreRestored struct{}
	// StoreRegressed: the store lost writes, or is another one than before; everything is read and registered again.
	StoreRegressed struct{ Err error }
	// BreakerState: the circuit breaker changed to State: open, half-open or closed.
	BreakerState struct{ State string }
	// HandlerPanicked: a handler panicked, or ended its goroutine; its signal was rejected, or its unit of work failed.
	HandlerPanicked struct {
		By, SignalID string
		Unit         string // of work, where there was no signal
		Value        any
		Stack        string
	}
)

// Outcome is the one word for how a wait ended: signal, timeout, fenced, closed or cancelled.
func (e WaitEnded) Outcome() string { return outcome(e.Err) }

type observers struct {
	observer Observer
	logger   *slog.Logger
}

func (o *observers) emit(e Event) {
	if o.observer != nil {
		o.observer.Observe(e)
	}
	if o.logger == nil {
		return
	}
	level, message, attrs := e.log()
	if message != "" && o.logger.Enabled(context.Background(), level) {
		o.logger.LogAttrs(context.Background(), level, message, attrs...)
	}
}

// watched reports whether an event would reach anybody, so that the hot path need not build it.
func (o *observers) watched() bool { return o.observer != nil || o.logger != nil }
