package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

const (
	versionBatch = 32   // versions in one trip
	longWalk     = 1024 // versions that are looked at one by one; then they are listed
)

// newest returns the newest checkpoint of epoch e. The counter is at least the newest version, so walking down from it
// meets that first. One that does not verify is no absent one: it may have been the newest.
func (d *Desk) newest(ctx context.Context, unit string, e int64) (data []byte, found bool, err error) {
	top, err := d.Progress(ctx, unit, e)
	if err != nil {
		return nil, false, err
	}
	bottom := max(1, top-longWalk+1)
	data, found, err = d.highest(ctx, unit, e, down(top, bottom))
	if found || err != nil || bottom == 1 {
		return data, found, err
	}
	listed, err := d.versions(ctx, unit, e)
	if err != nil {
		return nil, false, err
	}
	return d.highest(ctx, unit, e, listed)
}

// Progress returns the counter of checkpoints and touches of an epoch, 0 where there is none. A monitor sees progress by
// its rising.
func (d *Desk) Progress(ctx context.Context, unit string, e int64) (int64, error) {
	key := d.Space.Progress(unit, e)
	raw, found, err := d.get(ctx, key)
	if !found || err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: counter %s", ErrMalformed, key)
	}
	return n, nil
}

func down(top, bottom int64) (versions []int64) {
	for k := top; k >= bottom; k-- {
		versions = append(versions, k)
	}
	return versions
}

// highest returns the first of versions that is there.
func (d *Desk) highest(ctx context.Context, unit string, e int64, versions []int64) (data []byte, found bool, err error) {
	for some := range slices.Chunk(versions, versionBatch) {
		ops := make([]store.Op, len(some))
		for i, k := range some {
			ops[i] = store.GetOp(d.Space.Checkpoint(unit, e, k))
		}
		results, err := d.batch(ctx, ops)
		if err != nil {
			return nil, false, err
		}
		for i, got := range results {
			if !errors.Is(got.Err, store.ErrNotFound) {
				return d.openCheckpoint(unit, e, some[i], got)
			}
		}
	}
	return nil, false, nil
}

func (d *Desk) openCheckpoint(unit string, e, k int64, got store.Result) (data []byte, found bool, err error) {
	if got.Err != nil {
		return nil, false, got.Err
	}
	w, err := open[checkpointWire](d, envelope.KindCheckpoint, got.Value, unit, dec(e), dec(k))
	if err != nil {
		return nil, false, fmt.Errorf("checkpoint %d of epoch %d of unit %s: %w", k, e, unit, err)
	}
	return w.Data, true, nil
}

// versions lists the checkpoints of an epoch, the newest first: few, since the older ones are deleted.
func (d *Desk) versions(ctx context.Context, unit string, e int64) (versions []int64, err error) {
	prefix := strings.TrimSuffix(d.Space.Checkpoint(unit, e, 0), "0")
	var found []string
	err = d.until(ctx, func() (err error) {
		found, err = d.Store.Keys(ctx, prefix)
		return err
	})
	for _, key := range found {
		if k, err := strconv.ParseInt(strings.TrimPrefix(key, prefix), 10, 64); err == nil && k > 0 {
			versions = append(versions, k)
		}
	}
	slices.Sort(versions)
	slices.Reverse(versions)
	return versions, err
}
