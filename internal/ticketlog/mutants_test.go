package ticketlog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/store"
)

// mutants break one actor's view of the store, which is the same as leaving out one step of the procedure.
type mutants struct {
	writer, reader func(store.Store) store.Store
	frozen         bool // the writer does not notice that time passes
}

// Each of the four steps, left out, loses an entry.
func TestLeavingOutAStepIsFound(t *testing.T) {
	if proof.Slow > 1 {
		t.Skip("without the race detector they are all found")
	}
	for name, m := range map[string]mutants{
		"the writer does not look for the flag":        {writer: blind},
		"the writer does not mind the time":            {frozen: true},
		"the reader does not write the flag":           {reader: silent},
		"the reader does not look again":               {reader: once},
		"the reader closes a hole without the outcome": {reader: hopeful},
	} {
		t.Run(name, func(t *testing.T) {
			proof.Kill(t, 100_000, "S1", trial(name, m, inSteps))
		})
	}
}

type blindStore struct{ store.Store }

func blind(s store.Store) store.Store { return blindStore{s} }

func (s blindStore) Get(ctx context.Context, key string) ([]byte, error) {
	if strings.Contains(key, ":skip:") {
		return nil, store.ErrNotFound
	}
	return s.Store.Get(ctx, key)
}

type silentStore struct{ store.Store }

func silent(s store.Store) store.Store { return silentStore{s} }

func (s silentStore) SetEX(context.Context, string, []byte, time.Duration) error { return nil }

type hopefulStore struct{ store.Store }

func hopeful(s store.Store) store.Store { return hopefulStore{s} }

func (s hopefulStore) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_ = s.Store.SetEX(ctx, key, value, ttl)
	return nil
}

type onceStore struct {
	store.Store
	flagged map[string]bool
}

func once(s store.Store) store.Store { return onceStore{s, map[string]bool{}} }

func (s onceStore) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.flagged[strings.Replace(key, ":skip:", ":entry:", 1)] = true
	return s.Store.SetEX(ctx, key, value, ttl)
}

func (s onceStore) Get(ctx context.Context, key string) ([]byte, error) {
	if s.flagged[key] {
		return nil, store.ErrNotFound
	}
	return s.Store.Get(ctx, key)
}
