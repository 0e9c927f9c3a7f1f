package work

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
)

// Unit names a unit of work and what it consists of.
type Unit struct {
	ID     string `json:"id"`
	Digest string `json:"digest"` // hex SHA-256 of its payload and its progress deadline
}

func (u Unit) check() error {
	if len(u.Digest) != hex.EncodedLen(sha256.Size) {
		return fmt.Errorf("%w: a digest of %d characters", ErrMalformed, len(u.Digest))
	}
	return keys.CheckID(u.ID)
}

type unitWire struct {
	V        int    `json:"v"`
	ID       string `json:"id"`
	Progress int64  `json:"progressMs,omitempty"`
	Payload  Data   `json:"payload"`
}

func (w unitWire) digest() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(w.Payload)), uint64(w.Progress))
	sum := sha256.Sum256(append(b, w.Payload...))
	return hex.EncodeToString(sum[:])
}

// PutUnit writes a unit's payload under the digest of its content, before anything refers to it, so that no two contents
// share a place. progress is the longest that its owner may go without a checkpoint or a touch; 0 means for ever. It
// counts in milliseconds.
func (d *Desk) PutUnit(ctx context.Context, id string, payload []byte, progress time.Duration) (Unit, error) {
	w := unitWire{V: 1, ID: id, Progress: progress.Milliseconds(), Payload: payload}
	u := Unit{ID: id, Digest: w.digest()}
	if err := keys.CheckID(id); err != nil {
		return u, err
	}
	return u, d.put(ctx, d.Space.Unit(id, u.Digest), d.seal(envelope.KindUnit, w, id, u.Digest), d.Times.Unit)
}

// Payload reads what PutUnit wrote. ErrMalformed where it does not verify; store.ErrNotFound where it is not there, which
// means that the unit is older than Times.Unit or the store lost it.
func (d *Desk) Payload(ctx context.Context, u Unit) (payload []byte, progress time.Duration, err error) {
	var raw []byte
	err = d.until(ctx, func() (err error) {
		raw, err = d.Store.Get(ctx, d.Space.Unit(u.ID, u.Digest))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("work: unit %s: %w", u.ID, err)
	}
	w, err := open[unitWire](d, envelope.KindUnit, raw, u.ID, u.Digest)
	if err == nil && (w.ID != u.ID || w.digest() != u.Digest) {
		err = fmt.Errorf("%w: unit %s has another digest", ErrMalformed, u.ID)
	}
	return w.Payload, time.Duration(w.Progress) * time.Millisecond, err
}
