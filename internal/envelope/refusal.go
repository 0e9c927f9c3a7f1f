package envelope

import (
	"errors"
	"time"
)

// Reason says in one stable word why a record was refused. It is fit for a metric's label.
type Reason string

// The reasons. The set is closed; legacy records are refused for the same ones.
const (
	Malformed  Reason = "malformed"   // not a record, or a signed one whose fields break the rules
	Unsigned   Reason = "unsigned"    // a JSON object without a signature
	UnknownKey Reason = "unknown-key" // signed with a key that the ring does not hold
	Forged     Reason = "forged"      // the signature does not fit: altered, moved, or made without the key
	Misrouted  Reason = "misrouted"   // truly signed, but for another place
	Stale      Reason = "stale"       // too old
	Future     Reason = "future"      // too far ahead
	TooLarge   Reason = "too-large"   // over MaxSize
)

// The sentinels, one for each Reason: errors.Is(err, ErrForged) asks for the reason alone.
var (
	ErrMalformed  error = &Refusal{Reason: Malformed}
	ErrUnsigned   error = &Refusal{Reason: Unsigned}
	ErrUnknownKey error = &Refusal{Reason: UnknownKey}
	ErrForged     error = &Refusal{Reason: Forged}
	ErrMisrouted  error = &Refusal{Reason: Misrouted}
	ErrStale      error = &Refusal{Reason: Stale}
	ErrFuture     error = &Refusal{Reason: Future}
	ErrTooLarge   error = &Refusal{Reason: TooLarge}
)

// Refusal is the error of a record that is not taken. It never holds a secret, nor anything of a record that was not
// verified, except a kid of the legal form.
type Refusal struct {
	Reason Reason
	Detail string // for a person; may be empty and may change
}

// Error names the reason and the detail.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "envelope: refused as " + string(r.Reason)
	}
	return "envelope: refused as " + string(r.Reason) + ": " + r.Detail
}

// Is reports whether target is a Refusal for the same reason.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Reason == r.Reason
}

// ReasonOf returns the reason of the Refusal in err's chain, or "" where there is none.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}

func refuse(reason Reason, detail string) error {
	return &Refusal{Reason: reason, Detail: detail}
}

// CheckTime refuses ts as stale where it is more than maxAge before now, and as future where it is more than maxAhead
// after it. Both edges are still good.
func CheckTime(ts, now time.Time, maxAge, maxAhead time.Duration) error {
	// Compared as instants, not as a difference: a Duration saturates at 292 years, and ts may be anything.
	if ts.Before(now.Add(-maxAge)) {
		return refuse(Stale, "older than "+maxAge.String())
	}
	if ts.After(now.Add(maxAhead)) {
		return refuse(Future, "more than "+maxAhead.String()+" ahead")
	}
	return nil
}
