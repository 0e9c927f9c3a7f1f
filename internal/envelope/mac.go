package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"sync"
)

// signatureLen is the length of an HMAC-SHA256 in hexadecimal digits.
const signatureLen = 2 * sha256.Size

// macPool keeps the HMAC states of one key. A state that was used once has its inner and outer block computed, which
// halves the price of the next signature, and allocates nothing.
type macPool struct {
	pool sync.Pool
}

// mac is a state with the scratch space that keeps its callers from allocating.
type mac struct {
	hash hash.Hash
	buf  []byte
}

// newMACPool keeps secret, inside a closure.
func newMACPool(secret []byte) *macPool {
	fresh := func() any {
		return &mac{hash: hmac.New(sha256.New, secret), buf: make([]byte, 0, 256)}
	}
	return &macPool{pool: sync.Pool{New: fresh}}
}

// get returns a state that has seen nothing.
func (p *macPool) get() *mac {
	m := p.pool.Get().(*mac)
	m.hash.Reset()
	m.buf = m.buf[:0]
	return m
}

func (p *macPool) put(m *mac) { p.pool.Put(m) }

// appendHex appends the signature of what was written.
func (m *mac) appendHex(dst []byte) []byte {
	m.buf = m.hash.Sum(m.buf[:0])
	return hex.AppendEncode(dst, m.buf)
}

// appendSignature appends the signature of a record to dst; body may be a part of dst.
func (k *key) appendSignature(dst []byte, namespace string, kind Kind, place []string, body []byte) []byte {
	m := k.v1.get()
	defer k.v1.put(m)
	m.buf = appendField(m.buf, domain)
	m.buf = appendField(m.buf, string(kind))
	m.buf = appendField(m.buf, namespace)
	for _, p := range place {
		m.buf = appendField(m.buf, p)
	}
	m.buf = binary.BigEndian.AppendUint64(m.buf, uint64(len(body)))
	m.hash.Write(m.buf)
	m.hash.Write(body)
	return m.appendHex(dst)
}

// verifies reports in constant time whether signature is the one of the record.
func (k *key) verifies(signature []byte, namespace string, kind Kind, place []string, body []byte) bool {
	var buf [signatureLen]byte
	return hmac.Equal(signature, k.appendSignature(buf[:0], namespace, kind, place, body))
}

// appendField appends x with its length before it, so that no two lists of fields give the same bytes.
func appendField[T string | []byte](dst []byte, x T) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(x)))
	return append(dst, x...)
}
