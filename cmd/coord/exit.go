package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store"
)

// The exit codes. A stop by a signal is 128 and the signal's number.
const (
	exitError       = 1
	exitUsage       = 2
	exitUnavailable = 69  // the store never answered before the deadline
	exitWaiting     = 75  // nothing has come yet
	exitTimeout     = 124 // as timeout(1)
)

// failure is an error with the code to exit with and the line to say. Where its cause is not nil, errors.Is sees that.
type failure struct {
	code  int
	line  string
	cause error
	bare  bool // the line stands for itself: no "coord: " before it
}

func (f *failure) Error() string { return f.line }

func (f *failure) Unwrap() error { return f.cause }

func usage(err error) error { return &failure{code: exitUsage, line: err.Error(), cause: err} }

// stopped is the cause of a context that ended by a signal.
type stopped struct{ signal syscall.Signal }

func (s stopped) Error() string {
	if s.signal == syscall.SIGTERM {
		return "stopped by SIGTERM"
	}
	return "stopped by SIGINT"
}

// untilStopped ends with stopped at the first SIGTERM or SIGINT. The second one has its usual effect.
func untilStopped(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		select {
		case s := <-came:
			signal.Stop(came)
			cancel(stopped{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(came); cancel(nil) }
}

// fail says what went wrong in one line and returns the exit code; 0 and silence for nil.
func (a *app) fail(err error) int {
	if err == nil {
		return 0
	}
	code := codeOf(err)
	f, _ := errors.AsType[*failure](err)
	out := a.lastLine()
	switch {
	case a.Output == "json":
		writeJSON(out, map[string]any{"error": oneLine(err.Error()), "exit": code})
	case f != nil && f.bare:
		fmt.Fprintln(out, oneLine(err.Error()))
	default:
		fmt.Fprintln(out, "coord: "+oneLine(err.Error()))
	}
	return code
}

func codeOf(err error) int {
	if s, ok := errors.AsType[stopped](err); ok {
		return 128 + int(s.signal)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	for _, known := range codes {
		if errors.Is(err, known.is) {
			return known.code
		}
	}
	return exitError
}

// codes are asked in this order: wrong credentials are no outage, and an outage explains a timeout.
var codes = []struct {
	is   error
	code int
}{
	{store.ErrDenied, exitError},
	{coord.ErrInvalidID, exitUsage},
	{coord.ErrInvalidConfig, exitUsage},
	{coord.ErrUnavailable, exitUnavailable},
	{coord.ErrTimeout, exitTimeout},
	{coord.ErrNoAck, exitTimeout},
}

// oneLine joins the lines of joined errors.
func oneLine(s string) string { return clean(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")) }

// clean escapes what a terminal would obey: much of what is printed was written by others.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
