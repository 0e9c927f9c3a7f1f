package redisstore

import (
	"context"
	"fmt"

	"github.com/blocking-coordination/coord/store"
)

// Append implements store.Appender by one script. Tail and Entry must have the same hash tag. Where the server refuses
// scripts it returns an error that is errors.ErrUnsupported, from then on without a trip: there is no other way to keep
// the promise that nobody sees the counter without the entry.
func (d *driver) Append(ctx context.Context, a store.Append) (int64, error) {
	if a.TailTTL <= 0 || a.TTL <= 0 {
		return 0, failure(ctx, "APPEND", a.Tail, store.ErrInvalidTTL)
	}
	value := a.Value
	if value == nil {
		value = []byte{}
	}
	cmd, err := d.run(ctx, "APPEND", appendScript, []string{a.Tail}, millis(a.TailTTL), a.Entry, value, millis(a.TTL), a.Channel)
	if err != nil {
		return 0, err
	}
	n, err := cmd.Int64()
	if err != nil {
		return 0, fmt.Errorf("redisstore: APPEND %q: strange ticket: %w", a.Tail, err)
	}
	return n, nil
}
