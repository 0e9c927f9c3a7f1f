package work

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store"
)

// Held is an epoch that this process runs. It has one user at a time. Whoever stops running it for a while, because it is
// suspended, keeps the Held and goes on from Last: an epoch is begun once.
type Held struct {
	Unit     Unit
	Epoch    int64 // the fencing token
	Payload  []byte
	Progress time.Duration // the longest without a Checkpoint or a Touch; 0 means for ever

	desk     *Desk
	me       Owner
	last     []byte // the newest acknowledged checkpoint, or the base
	tried    int64  // the newest version that was ever tried
	acked    int64  // the newest acknowledged version
	swept    int64  // versions below were deleted
	deadline int64  // the ticket of the deadline, 0 where there is none
}

// Begin makes ready to run epoch f of u, which List.Scan or Claim gave to me. base is what an earlier owner left: its
// newest checkpoint, empty where there is none. It calls for no second Begin: only where it fails for the store's or ctx's
// sake may it be called again.
//
// Errors: ErrFenced where the epoch is not mine or has ended; ErrMalformed and store.ErrNotFound where the payload or the
// newest checkpoint does not verify or is gone, which is to be reported.
func (d *Desk) Begin(ctx context.Context, me Owner, u Unit, f int64) (h *Held, base []byte, err error) {
	if err := d.owns(ctx, me, u, f); err != nil {
		return nil, nil, err
	}
	h = &Held{Unit: u, Epoch: f, desk: d, me: me}
	if h.Payload, h.Progress, err = d.Payload(ctx, u); err != nil {
		return nil, nil, err
	}
	if h.last, err = d.Base(ctx, u.ID, f-1); err != nil { // after the decision that gave me the epoch
		return nil, nil, err
	}
	if h.deadline, err = h.announce(ctx); err != nil {
		return nil, nil, err
	}
	if err := h.Checkpoint(ctx, h.last); err != nil { // even an empty base: now nobody goes back to before it
		return nil, nil, err
	}
	return h, h.last, nil
}

// owns is ErrFenced unless epoch f of u was given to me.
func (d *Desk) owns(ctx context.Context, me Owner, u Unit, f int64) error {
	before, found, err := d.Ended(ctx, u.ID, f-1)
	if err == nil && (!found || !before.Gives(me)) {
		err = fmt.Errorf("%w: epoch %d of unit %s", ErrFenced, f, u.ID)
	}
	return err
}

// Last is the newest acknowledged checkpoint, or the base.
func (h *Held) Last() []byte { return h.last }

// Checkpoint makes data what an heir begins with. nil means that it will: the epoch had not ended when data stood.
// ErrFenced where another owns the unit by now, ErrDone where it is done. After any other error the outcome is unknown.
func (h *Held) Checkpoint(ctx context.Context, data []byte) error {
	h.tried++ // a version has one value for ever, also one whose outcome was not waited for
	if err := h.write(ctx, h.tried, data); err != nil {
		return err
	}
	if err := h.open(ctx); err != nil { // X4: after the write
		return err
	}
	h.acked, h.last = h.tried, append([]byte{}, data...)
	return nil
}

// write writes version k and has the counter cover it: whoever walks down from the counter meets the newest version.
func (h *Held) write(ctx context.Context, k int64, data []byte) error {
	sealed := h.desk.sealCheckpoint(h.Unit.ID, h.Epoch, k, data)
	ops := append(h.count(), store.SetEXOp(h.key(k), sealed, h.desk.Times.Checkpoint))
	ops = append(ops, h.sweep()...)
	err := h.desk.until(ctx, func() error {
		results := store.Batch(ctx, h.desk.Store, ops)
		if err := store.FirstError(results); err != nil {
			return err
		}
		return h.cover(ctx, results[0].N, k)
	})
	if err == nil {
		h.swept = h.acked
	}
	return err
}

const countBatch = 256 // steps of a counter in one trip

// cover raises the counter from n to version k, where earlier ones were never counted or the store has lost count. An heir
// who reads it meanwhile misses k, but then the epoch has ended, and whoever looks after this is fenced (X4).
func (h *Held) cover(ctx context.Context, n, k int64) error {
	for n < k {
		results := store.Batch(ctx, h.desk.Store, slices.Repeat(h.count()[:1], int(min(k-n, countBatch))))
		if err := store.FirstError(results); err != nil {
			return err
		}
		n = results[len(results)-1].N
	}
	return nil
}

func (h *Held) key(k int64) string { return h.desk.Space.Checkpoint(h.Unit.ID, h.Epoch, k) }

// count raises the counter by which monitors see progress.
func (h *Held) count() []store.Op {
	key := h.desk.Space.Progress(h.Unit.ID, h.Epoch)
	return []store.Op{store.IncrOp(key), store.ExpireOp(key, h.desk.Times.Progress)}
}

// sweep deletes the versions below the newest acknowledged one. That one stood before the epoch ended, if it has: every
// heir finds it or a newer one, and none of these.
func (h *Held) sweep() (ops []store.Op) {
	for k := max(h.swept, 1); k < h.acked; k++ {
		ops = append(ops, store.ExpireOp(h.key(k), 0))
	}
	return ops
}

// open is nil while the epoch has not ended.
func (h *Held) open(ctx context.Context) error {
	decided, ended, err := h.desk.Ended(ctx, h.Unit.ID, h.Epoch)
	if err != nil || !ended {
		return err
	}
	return h.verdict(decided)
}

// verdict says what the end of the epoch means for one who did not bring it about.
func (h *Held) verdict(decided Decision) error {
	if decided.Done != nil {
		return fmt.Errorf("%w: unit %s in epoch %d", ErrDone, h.Unit.ID, h.Epoch)
	}
	return fmt.Errorf("%w: unit %s went to %v after epoch %d", ErrFenced, h.Unit.ID, *decided.To, h.Epoch)
}

// Touch says that the epoch makes progress. Call it a few times per Progress, not more: an heir's first step walks back
// over all of them.
func (h *Held) Touch(ctx context.Context) error {
	results, err := h.desk.batch(ctx, h.count())
	if err == nil {
		err = results[0].Err
	}
	return err
}

// Done ends the unit with result. nil means that this is its result, for ever. ErrFenced where another owns the unit by
// now, ErrDone where an earlier call with another result came through. After any other error the outcome is unknown:
// call it again.
func (h *Held) Done(ctx context.Context, result []byte) error {
	decided, mine, err := h.desk.end(ctx, h.Unit.ID, h.Epoch,
		Decision{Done: &Result{Owner: h.me, Value: result}, Digest: h.Unit.Digest, By: h.me.String()})
	if err != nil || mine {
		return err // X2, X4
	}
	return h.verdict(decided)
}

// Refresh keeps the checkpoint and the deadline alive. Call it every Times.Refresh while the unit is held.
func (h *Held) Refresh(ctx context.Context) error {
	ops := []store.Op{
		store.ExpireOp(h.desk.Space.Progress(h.Unit.ID, h.Epoch), h.desk.Times.Progress),
		store.ExpireOp(h.key(h.acked), h.desk.Times.Checkpoint),
	}
	return h.desk.refresh(ctx, append(ops, h.refreshDeadline()...))
}

type checkpointWire struct {
	V    int  `json:"v"`
	Data Data `json:"data"`
}

func (d *Desk) sealCheckpoint(unit string, e, k int64, data []byte) []byte {
	return d.seal(envelope.KindCheckpoint, checkpointWire{1, data}, unit, dec(e), dec(k))
}
