package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// generation is a random value that is written once in the life of the store's data. When it is gone or another one,
// the store has lost what it held.
type generation struct {
	Generation string `json:"generation"`
}

// ensureGeneration returns the generation of the store's data, and makes one where there is none. Two processes that do
// so at once may disagree until the next look: the one that lost reads everything again, which does no harm.
func (c *Client) ensureGeneration(ctx context.Context) (string, error) {
	if known := c.generation.Load(); known != nil {
		return *known, nil
	}
	found, err := c.readGeneration(ctx)
	if err == nil && found == "" {
		found, err = c.writeGeneration(ctx)
	}
	if err != nil {
		return "", err
	}
	c.generation.CompareAndSwap(nil, &found)
	return *c.generation.Load(), nil
}

// readGeneration returns "" where there is none.
func (c *Client) readGeneration(ctx context.Context) (string, error) {
	value, err := c.store.Get(ctx, c.space.Generation())
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return c.openGeneration(value), nil
}

// writeGeneration writes a new one and returns what then stands there.
func (c *Client) writeGeneration(ctx context.Context) (string, error) {
	sealed, err := envelope.SealJSON(c.ring, envelope.KindGeneration, generation{newID()})
	if err != nil {
		return "", err
	}
	if err := c.store.SetEX(ctx, c.space.Generation(), sealed, counterTTL); err != nil {
		return "", err
	}
	return c.readGeneration(ctx)
}

var errLost = fmt.Errorf("%w: its generation is gone", ErrStoreRegressed)

// lost reports whether a generation that reads as value says that the store lost its data, or an earlier loss has not
// been dealt with.
func (c *Client) lost(value []byte) bool {
	known := c.generation.Load()
	return known != nil && (c.unrecovered.Load() || c.openGeneration(value) != *known)
}

// checkGeneration takes in what a poll read.
func (c *Client) checkGeneration(value []byte) {
	if c.lost(value) {
		c.regressed(errLost)
	}
}

// regressed: the store may have lost acknowledged writes. Everything is read and registered again, and what is not
// acknowledged is posted again.
func (c *Client) regressed(cause error) {
	if !c.recovering.CompareAndSwap(false, true) {
		return
	}
	defer c.recovering.Store(false)
	c.unrecovered.Store(true) // until all that follows has succeeded: the next poll or beat does it again
	found, err := c.readGeneration(c.life)
	if err == nil && (found == "" || c.outlived(found, cause)) {
		found, err = c.writeGeneration(c.life)
	}
	if err != nil || found == "" {
		return
	}
	lost := c.generation.Swap(&found)
	if lost == nil || *lost != found {
		c.renewed.Store(c.Clock.Now().UnixNano())
	}
	c.losses.Add(1)
	c.emit(StoreRegressed{cause})
	for _, a := range c.everybody() {
		if e := a.recover(lost == nil || *lost != found); err == nil {
			err = e
		}
	}
	c.unrecovered.Store(err != nil)
}

// outlived: a counter went back although the generation stands, so a cursor that was written before may be too high for
// what is there now. A new generation voids it, once for all who notice within a minute.
func (c *Client) outlived(found string, cause error) bool {
	known := c.generation.Load()
	return errors.Is(cause, ErrStoreRegressed) && !errors.Is(cause, errLost) && known != nil && *known == found &&
		c.Clock.Now().UnixNano()-c.renewed.Load() > int64(time.Minute)
}

// recover has one coordinator start over. lost: the store's data are gone, not merely some last writes of it.
func (a *Coordinator) recover(lost bool) error {
	c := a.client
	generation := *c.generation.Load()
	var err error
	if !a.guest {
		if err = a.countOn(c.life); err == nil {
			err = a.register(c.life)
		}
		a.turns.recover(generation)
		c.run(a.work.recover)
	}
	again := a.out.all()
	if lost {
		again = a.out.readdress()
	}
	for _, o := range again {
		if e := a.postNow(c.life, o); err == nil {
			err = e
		}
	}
	return err
}

// countOn: D5, the registry is going to know my number again, so nobody is given it, or a lower one, any more: he would be
// taken for one who lived before me. What is no counter, nobody can count on.
func (a *Coordinator) countOn(ctx context.Context) error {
	c, key := a.client, a.client.space.Incarnation(a.id)
	for {
		value, err := c.store.Get(ctx, key)
		if err != nil && !store.Permanent(err) {
			return err
		}
		n, _ := strconv.ParseInt(string(value), 10, 64)
		ops := slices.Repeat([]store.Op{store.IncrOp(key)}, int(min(max(a.me.Incarnation-n, 0), 256)))
		err = store.FirstError(store.Batch(ctx, c.store, append(ops, store.ExpireOp(key, numberTTL))))
		switch {
		case store.Permanent(err):
			return nil
		case err != nil || len(ops) == 0:
			return err
		}
	}
}
