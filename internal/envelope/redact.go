package envelope

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that anybody gets to see of a key or a ring.
const redacted = "[redacted]"

// The methods stand on the values, so that pointers have them too.
var (
	_ fmt.Formatter  = Key{}
	_ slog.LogValuer = Key{}
	_ fmt.Formatter  = Ring{}
	_ slog.LogValuer = Ring{}
)

// Format prints [redacted] for every verb and flag.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// String returns [redacted].
func (Key) String() string { return redacted }

// GoString returns [redacted].
func (Key) GoString() string { return redacted }

// LogValue returns [redacted].
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "[redacted]".
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns [redacted].
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints [redacted] for every verb and flag.
func (Ring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// String returns [redacted].
func (Ring) String() string { return redacted }

// GoString returns [redacted].
func (Ring) GoString() string { return redacted }

// LogValue returns [redacted].
func (Ring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "[redacted]".
func (Ring) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns [redacted].
func (Ring) MarshalText() ([]byte, error) { return []byte(redacted), nil }
