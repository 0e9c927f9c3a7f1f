package envelope

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinSecret is the least number of bytes in a secret.
const MinSecret = 32

// DefaultKeyID is the id of a key that is alone in its ring and was given none.
const DefaultKeyID = "1"

// domain separates these signatures from whatever else may be signed with the same secret.
const domain = "coord/v1"

// Errors of NewRing. They tell a key by its position, never by its content.
var (
	// ErrWeakSecret: a secret is shorter than MinSecret.
	ErrWeakSecret = errors.New("envelope: a secret must have at least 32 bytes")
	// ErrInvalidKey: there is no key, or a key id is missing, malformed or there twice.
	ErrInvalidKey = errors.New("envelope: invalid key")
)

// Key is a secret and its public name. Printed, logged or marshalled as a value of its own, or as an exported field, it
// shows [redacted]; package fmt calls no method of an unexported field, so pass it to NewRing and keep the Ring instead.
type Key struct {
	ID     string // matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}; may be empty where the key is alone: DefaultKeyID
	Secret []byte // at least MinSecret bytes from a good source; NewRing copies it
}

// Ring signs and verifies for one namespace. It is immutable and safe for concurrent use. Nothing prints it: what holds
// the secrets are closures, which even a printer that follows unexported fields does not open.
type Ring struct {
	namespace string
	keys      []*key // the first signs
}

// key is one secret in the shape in which it is used.
type key struct {
	id  string
	v1  *macPool // derived from (secret, namespace)
	raw *macPool // the secret itself: for the legacy format alone
}

// NewRing returns a ring whose first key signs and whose keys all verify. A single key without an id gets
// DefaultKeyID; where there are several each needs its own, since a name by position would change during a rotation.
// The errors wrap ErrWeakSecret or ErrInvalidKey.
func NewRing(namespace string, keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: a ring needs at least one", ErrInvalidKey)
	}
	if len(keys) == 1 && keys[0].ID == "" {
		keys = []Key{{ID: DefaultKeyID, Secret: keys[0].Secret}}
	}
	r := &Ring{namespace: namespace}
	for i, k := range keys {
		if err := r.add(k); err != nil {
			return nil, fmt.Errorf("%w (key %d of %d)", err, i+1, len(keys))
		}
	}
	return r, nil
}

// add appends k. A malformed id is not quoted: where a key file was misread it may be the secret.
func (r *Ring) add(k Key) error {
	switch {
	case !validID(k.ID):
		return fmt.Errorf("%w: its id is missing or malformed", ErrInvalidKey)
	case r.key([]byte(k.ID)) != nil:
		return fmt.Errorf("%w: its id is there twice", ErrInvalidKey)
	case len(k.Secret) < MinSecret:
		return fmt.Errorf("%w: it has %d", ErrWeakSecret, len(k.Secret))
	}
	derived, err := hkdf.Key(sha256.New, k.Secret, []byte(domain), r.namespace, sha256.Size)
	if err != nil {
		return fmt.Errorf("envelope: deriving a key: %w", err)
	}
	r.keys = append(r.keys, &key{id: k.ID, v1: newMACPool(derived), raw: newMACPool(bytes.Clone(k.Secret))})
	return nil
}

// key returns the key with that id, or nil. Rings are small; a scan needs no map.
func (r *Ring) key(id []byte) *key {
	for _, k := range r.keys {
		if k.id == string(id) {
			return k
		}
	}
	return nil
}
