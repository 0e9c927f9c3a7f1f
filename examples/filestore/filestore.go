//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

// Package filestore is a complete coord driver in one sitting: a directory of files, shared by the processes of one
// machine. It has no capabilities; the protocol is correct without. docs/writing-a-driver.md tells how it came to be.
package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// Store is a store.Store in a directory. All methods may be called concurrently, by any number of processes.
type Store struct {
	dir   string
	clock store.Clock
}

// record is what a file holds.
type record struct {
	Alive    bool
	Key      []byte // not a string: JSON has none but in UTF-8
	Value    []byte
	Deadline int64 // Unix milliseconds; 0: none
}

// Open returns a store in dir, which it creates where it is missing. The processes' clocks must agree: outside tests, pass
// store.SystemClock. There is nothing to close. What was written outlives every process; after a power failure the last
// writes may be missing, but none is there by half.
func Open(dir string, clock store.Clock) (*Store, error) {
	return &Store{dir, clock}, os.MkdirAll(dir, 0o700)
}

// SetEX implements store.Store.
func (s *Store) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.update(ctx, key, func(r *record) error {
		if ttl <= 0 {
			return store.ErrInvalidTTL
		}
		*r = record{true, []byte(key), value, s.deadline(ttl)}
		return nil
	})
}

// Get implements store.Store. It needs no lock: a file is replaced as a whole.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	r, err := s.read(ctx, s.path(key))
	if err == nil && !r.Alive {
		return nil, store.ErrNotFound
	}
	return r.Value, err
}

// Incr implements store.Store.
func (s *Store) Incr(ctx context.Context, key string) (n int64, err error) {
	err = s.update(ctx, key, func(r *record) error {
		if !r.Alive {
			*r = record{Alive: true, Key: []byte(key), Value: []byte("0")}
		}
		n, err = strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != string(r.Value) || n == math.MaxInt64 {
			return store.ErrNotInteger
		}
		n++
		r.Value = strconv.AppendInt(nil, n, 10)
		return nil
	})
	return n, err
}

// Expire implements store.Store.
func (s *Store) Expire(ctx context.Context, key string, ttl time.Duration) (ok bool, err error) {
	err = s.update(ctx, key, func(r *record) error {
		ok = r.Alive
		r.Alive, r.Deadline = ok && ttl > 0, s.deadline(ttl)
		return nil
	})
	return ok && err == nil, err
}

// Keys implements store.Store. It reads every file, and removes those of the dead, since nobody else may.
func (s *Store) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	files, err := fs.Glob(os.DirFS(s.dir), "*.key")
	for i := 0; i < len(files) && err == nil; i++ {
		var r record
		if r, err = s.read(ctx, filepath.Join(s.dir, files[i])); r.Alive && strings.HasPrefix(string(r.Key), prefix) {
			keys = append(keys, string(r.Key))
		} else if err == nil && !r.Alive && r.Key != nil {
			err = s.update(ctx, string(r.Key), func(*record) error { return nil })
		}
	}
	return keys, errors.Join(err, context.Cause(ctx))
}

func (s *Store) path(key string) string { // a hash, since not every key is a legal name
	return filepath.Join(s.dir, fmt.Sprintf("%x.key", sha256.Sum256([]byte(key))))
}

func (s *Store) deadline(ttl time.Duration) int64 { // rounded up: nobody dies early
	return s.clock.Now().UnixMilli() + ttl.Milliseconds() + 1
}

// read returns the record in a file; where there is none, or a dead one, it is not Alive. One that is damaged counts as
// missing: it can be written again, and an audit shows the others.
func (s *Store) read(ctx context.Context, path string) (r record, err error) {
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && json.Unmarshal(b, &r) != nil {
		return record{}, nil
	}
	r.Alive = r.Alive && (r.Deadline == 0 || s.clock.Now().UnixMilli() <= r.Deadline)
	return r, err
}

// update lets f change the record of key while nobody else changes any; an error of f changes nothing.
func (s *Store) update(ctx context.Context, key string, f func(*record) error) error {
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // unlocks, as does the death of the process
	for syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	r, err := s.read(ctx, s.path(key))
	if err == nil {
		err = f(&r)
	}
	if err == nil {
		err = s.write(s.path(key), r)
	}
	return err
}

// write replaces a file by renaming another over it, so that a reader sees one or the other and never a half. It is synced
// first, or a power failure could leave the new name with nothing in it.
func (s *Store) write(path string, r record) error {
	if !r.Alive {
		return os.RemoveAll(path) // no error where it is missing
	}
	b, _ := json.Marshal(r) // cannot fail: bytes and numbers
	next, err := os.OpenFile(path+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(b)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(path+".next", path)
}
