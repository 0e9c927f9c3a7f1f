package coord

import (
	"errors"
	"fmt"
	"log/slog"
)

func outcome(err error) string {
	switch {
	case err == nil:
		return "signal"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.Is(err, ErrFenced):
		return "fenced"
	case errors.Is(err, ErrClosed):
		return "closed"
	}
	return "cancelled"
}

func signalAttrs(id, from, to, typ string, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("signal", id), slog.String("from", from), slog.String("to", to), slog.String("type", typ),
	}, more...)
}

func idAttrs(id string, incarnation int64, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{slog.String("id", id), slog.Int64("incarnation", incarnation)}, more...)
}

func (e Joined) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "joined", idAttrs(e.ID, e.Incarnation)
}

func (e Left) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "left", idAttrs(e.ID, e.Incarnation)
}

func (e SignalPosted) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "signal posted", signalAttrs(e.ID, e.From, e.To, e.Type, slog.Int("attempt", e.Attempt))
}

func (e SignalHandedOver) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "signal handed over", signalAttrs(e.ID, e.From, e.To, e.Type)
}

func (e SignalAcknowledged) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "signal acknowledged", signalAttrs(e.ID, e.From, e.To, e.Type,
		slog.Duration("latency", e.Latency), slog.Bool("rejected", e.Rejected))
}

func (e SignalFailed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "signal not delivered", signalAttrs(e.ID, e.From, e.To, e.Type, slog.Any("err", e.Err))
}

func (e SignalRefused) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "signal refused", []slog.Attr{
		slog.String("by", e.By), slog.String("reason", e.Reason), slog.Any("err", e.Err),
	}
}

func (e WaitStarted) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "waiting", []slog.Attr{slog.String("by", e.By)}
}

func (e WaitEnded) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "wait ended", []slog.Attr{
		slog.String("by", e.By), slog.String("outcome", e.Outcome()), slog.Duration("blocked", e.Blocked),
	}
}

func (e Beat) log() (slog.Level, string, []slog.Attr) {
	if e.Err == nil {
		return slog.LevelDebug, "", nil
	}
	return slog.LevelDebug, "heartbeat failed", idAttrs(e.ID, e.Incarnation, slog.Any("err", e.Err))
}

func (e HeartbeatResumed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "heartbeat resumed", []slog.Attr{slog.String("id", e.ID), slog.Duration("silent", e.Silent)}
}

func (e Suspended) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "suspended: no heartbeat reached the store for nearly a whole TTL", []slog.Attr{slog.String("id", e.ID)}
}

func (e Resumed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "resumed", []slog.Attr{slog.String("id", e.ID)}
}

func (e Fenced) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelError, "fenced: another incarnation exists or this one was declared dead", idAttrs(e.ID, e.Incarnation)
}

func (e StoreFailed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelDebug, "store operation failed", []slog.Attr{slog.Any("err", e.Err)}
}

func (e StoreRetry) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "store failure, retrying in " + e.Delay.String(), []slog.Attr{
		slog.Int("attempt", e.Attempt), slog.Any("err", e.Err),
	}
}

func (e StoreRestored) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "connection restored", nil
}

func (e StoreRegressed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "the store may have lost writes: reading and registering everything again", []slog.Attr{
		slog.Any("err", e.Err),
	}
}

func (e BreakerState) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "circuit breaker " + e.State, nil
}

func (e HandlerPanicked) log() (slog.Level, string, []slog.Attr) {
	about := slog.String("signal", e.SignalID)
	if e.Unit != "" {
		about = slog.String("unit", e.Unit)
	}
	return slog.LevelError, "handler panicked", []slog.Attr{
		slog.String("by", e.By), about, slog.Any("panic", e.Value), slog.String("stack", e.Stack),
	}
}

func (e Warned) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, fmt.Sprintf("warning %d/%d", e.K, e.Of), idAttrs(e.ID, e.Incarnation, slog.Duration("silent", e.Silent))
}

func (e Recovered) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "recovered", idAttrs(e.ID, e.Incarnation)
}

func (e Dead) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelError, "dead coordinator detected", idAttrs(e.ID, e.Incarnation, slog.Duration("silent", e.Silent))
}

func unitAttrs(unit string, epoch int64, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{slog.String("unit", unit), slog.Int64("epoch", epoch)}, more...)
}

func (e WorkHandedOver) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "work handed over", unitAttrs(e.Unit, e.Epoch, slog.String("from", e.From), slog.String("to", e.To))
}

func (e WorkDone) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "work done", unitAttrs(e.Unit, e.Epoch, slog.String("owner", e.Owner))
}

func (e WorkFailed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "work failed", unitAttrs(e.Unit, e.Epoch, slog.String("owner", e.Owner), slog.Any("err", e.Err))
}

func (e WorkSetAside) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelError, "work set aside", []slog.Attr{slog.String("unit", e.Unit), slog.String("key", e.Key), slog.Any("err", e.Err)}
}

func (e HandlerFailed) log() (slog.Level, string, []slog.Attr) {
	return slog.LevelWarn, "handler failed", []slog.Attr{slog.String("about", e.About), slog.Any("err", e.Err)}
}
