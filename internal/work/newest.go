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

// Base is the newest checkpoint of the epochs f down to 1.
func (d *Desk) Base(ctx context.Context, unit string, f int64) ([]byte, error) {
	data, _, _, err := d.base(ctx, unit, f)
	return data, err
}

// base returns where it stands, too: in version k of epoch e; 0 where there is none.
func (d *Desk) base(ctx context.Context, unit string, f int64) (data []byte, e, k int64, err error) {
	for e = f; e >= 1; e-- {
		if data, k, err = d.newest(ctx, unit, e); k > 0 || err != nil {
			return data, e, k, err
		}
	}
	return []byte{}, 0, 0, nil
}

// keepBase refreshes what an heir in epoch f+1 would begin with, after the counter that leads to it. One that does not
// verify here may verify elsewhere.
func (d *Desk) keepBase(ctx context.Context, unit string, f int64) error {
	_, e, k, err := d.base(ctx, unit, f)
	if err != nil && !spoilt(err) {
		return err
	}
	if k == 0 {
		return nil
	}
	return d.refresh(ctx, []store.Op{
		store.ExpireOp(d.Space.Progress(unit, e), d.Times.Progress),
		store.ExpireOp(d.Space.Checkpoint(unit, e, k), d.Times.Checkpoint),
	})
}

// newest returns the newest checkpoint of epoch e and its version, 0 where there is none. The counter is at least the
// newest version, so walking down from it meets that first. One that does not verify is no absent one: it may have been
// the newest.
func (d *Desk) newest(ctx context.Context, unit string, e int64) (data []byte, k int64, err error) {
	top, err := d.Progress(ctx, unit, e)
	if err != nil {
		return nil, 0, err
	}
	bottom := max(1, top-longWalk+1)
	data, k, err = d.highest(ctx, unit, e, down(top, bottom))
	if k > 0 || err != nil || bottom == 1 {
		return data, k, err
	}
	listed, err := d.versions(ctx, unit, e)
	if err != nil {
		return nil, 0, err
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

// highest returns the first of versions that is there, and which it is.
func (d *Desk) highest(ctx context.Context, unit string, e int64, versions []int64) (data []byte, k int64, err error) {
	for some := range slices.Chunk(versions, versionBatch) {
		ops := make([]store.Op, len(some))
		for i, k := range some {
			ops[i] = store.GetOp(d.Space.Checkpoint(unit, e, k))
		}
		results, err := d.batch(ctx, ops)
		if err != nil {
			return nil, 0, err
		}
		for i, got := range results {
			if !errors.Is(got.Err, store.ErrNotFound) {
				data, err = d.openCheckpoint(unit, e, some[i], got)
				return data, some[i], err
			}
		}
	}
	return nil, 0, nil
}

func (d *Desk) openCheckpoint(unit string, e, k int64, got store.Result) ([]byte, error) {
	if got.Err != nil {
		return nil, got.Err
	}
	w, err := open[checkpointWire](d, envelope.KindCheckpoint, got.Value, unit, dec(e), dec(k))
	if err != nil {
		return nil, fmt.Errorf("checkpoint %d of epoch %d of unit %s: %w", k, e, unit, err)
	}
	return w.Data, nil
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
