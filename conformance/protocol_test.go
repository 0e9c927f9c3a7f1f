package conformance

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// protocolMutants are drivers on which the protocol breaks its promises. What is wrong with them depends on what they
// hold, not on chance, so that a run can be repeated.
var protocolMutants = []struct {
	name   string
	trials string // what their names match, with the letter of the invariants that must tell
	mutate func(*broken)
}{
	{"two writers get one number", "S", sameNumberTwice},
	{"two writers get one number", "X", sameNumberTwice},
	{"SetEX loses a write", "S", lossyWrites},
	{"SetEX loses a write", "X", lossyWrites},
	{"SetEX loses a write", "D", lossyWrites},
	{"Get is behind SetEX", "D", behind},
	{"keys die early", "D", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, value, ttl/4)
		}
	}},
	{"Get is behind SetEX", "S3", behind},
	{"Get is behind SetEX", "X", behind},
	{"Keys misses keys", "S1$/^far", forgetfulKeys},
	{"a day is too long", "S", func(b *broken) {
		b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
			return b.good.SetEX(ctx, key, value, min(ttl, minute))
		}
	}},
	{"Append writes no entry now and then", "S", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Append = lossyAppend{b} })
	}},
	{"Append writes no entry now and then", "W1", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Append = lossyAppend{b} })
	}},
	{"the clock rings late", "W2", func(b *broken) {
		b.change(func(c *store.Capabilities) { c.Clock = lateClock{b.clock} })
	}},
	{"a batch writes nothing at its end", "S", withBatch(func(good batchFunc) batchFunc {
		return func(ctx context.Context, ops []store.Op) []store.Result {
			if last := len(ops) - 1; ops[last].Kind == store.OpSetEX {
				return append(good(ctx, ops[:last]), store.Result{})
			}
			return good(ctx, ops)
		}
	})},
}

func sameNumberTwice(b *broken) {
	b.incr = func(ctx context.Context, key string) (int64, error) {
		n, err := b.good.Incr(ctx, key)
		return n - (n+1)%2, err // 1, 1, 3, 3, ...
	}
}

func lossyWrites(b *broken) {
	b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
		if one(5, []byte(key), value) {
			return nil
		}
		return b.good.SetEX(ctx, key, value, ttl)
	}
}

// one picks one in n.
func one(n uint32, what ...[]byte) bool {
	h := fnv.New32a()
	_, _ = h.Write(bytes.Join(what, nil))
	return h.Sum32()%n == 0
}

// behind answers the first Get after a SetEX with what was there before.
func behind(b *broken) {
	b.setex = func(ctx context.Context, key string, value []byte, ttl time.Duration) error {
		before, _ := b.good.Get(ctx, key)
		b.remember(key, before)
		return b.good.SetEX(ctx, key, value, ttl)
	}
	b.get = func(ctx context.Context, key string) ([]byte, error) {
		before, ok := b.recall(key)
		if !ok {
			return b.good.Get(ctx, key)
		}
		b.mu.Lock()
		delete(b.memo, key)
		b.mu.Unlock()
		if before == nil {
			return nil, store.ErrNotFound
		}
		return before, nil
	}
}

// forgetfulKeys misses keys, but not when an instance is emptied.
func forgetfulKeys(b *broken) {
	b.keys = func(ctx context.Context, prefix string) ([]string, error) {
		keys, err := b.good.Keys(ctx, prefix)
		if prefix == KeyPrefix {
			return keys, err
		}
		return keys[:len(keys)/2], err
	}
}

type lossyAppend struct{ *broken }

func (l lossyAppend) Append(ctx context.Context, a store.Append) (int64, error) {
	if one(5, a.Value) {
		return l.good.Incr(ctx, a.Tail)
	}
	return l.good.Capabilities().Append.Append(ctx, a)
}

type lateClock struct{ store.Clock }

func (c lateClock) AfterFunc(d time.Duration, f func()) func() bool {
	return c.Clock.AfterFunc(d+time.Millisecond, f)
}

// slow is a store in which time passes by itself, too: with every Get.
type slow struct {
	store.Store
	clock *memstore.FakeClock
}

func (s slow) Get(ctx context.Context, key string) ([]byte, error) {
	s.clock.Advance(50 * time.Millisecond)
	return s.Store.Get(ctx, key)
}

// A server that takes its time is no broken driver.
func TestProtocolOnASlowServer(t *testing.T) {
	RunProtocol(t, func(testing.TB) Instance {
		clock := memstore.NewFakeClock(time.Time{})
		return Instance{Store: slow{memstore.New(memstore.WithClock(clock)), clock}, Advance: clock.Advance}
	})
}

// mutantVariable names, in the environment of another process of this test, the mutant that it is to play.
const mutantVariable = "CONFORMANCE_MUTANT"

// The protocol finds out what is wrong with a driver, and the line that it prints replays what it found.
func TestProtocolFindsItOut(t *testing.T) {
	if n := os.Getenv(mutantVariable); n != "" {
		for i, m := range protocolMutants {
			if fmt.Sprint(i) == n {
				RunProtocol(t, openBroken(m.mutate))
			}
		}
		return
	}
	for i, m := range protocolMutants {
		t.Run(m.trials[:1]+" "+m.name, func(t *testing.T) {
			t.Parallel()
			found := playMutant(t, i, "-test.run=^TestProtocolFindsItOut$/^"+m.trials)
			if name := named(found); len(name) == 0 || !bytes.Contains(telling[m.trials[0]], name[:1]) {
				t.Fatalf("no invariant %c is named:\n%s", m.trials[0], found)
			}
			t.Logf("counted 1 mutants\n%s", found)
			if m.trials[0] != 'W' { // where nothing is drawn by a seed of its own
				replayMutant(t, i, found)
			}
		})
	}
}

func replayMutant(t *testing.T, i int, found []byte) {
	t.Helper()
	replay := regexp.MustCompile(`replay: go test -v -run '(.+)' (-coord\.seed=\d+)`).FindSubmatch(found)
	if replay == nil {
		t.Fatalf("nothing says how to replay it:\n%s", found)
	}
	again := playMutant(t, i, "-test.run="+string(replay[1]), string(replay[2]))
	if !bytes.Equal(named(again), named(found)) {
		t.Errorf("%s does not replay it:\n%s", replay[0], again)
	}
}

// telling are the letters of the invariants that the trials of a letter hold: owners of work die, too.
var telling = map[byte][]byte{'S': []byte("S"), 'W': []byte("W"), 'D': []byte("D"), 'X': []byte("XID")}

// named is the name of the invariant that is said to be broken.
func named(output []byte) []byte {
	return regexp.MustCompile(`broken invariant (\w+): \w|$`).FindSubmatch(output)[1]
}

// playMutant plays a mutant in another process, in which it has to fail, and returns what that says.
func playMutant(t *testing.T, i int, args ...string) []byte {
	t.Helper()
	if args = append(args, "-test.failfast", "-rapid.nofailfile"); proof.Slow > 1 {
		args = append(args, "-coord.long") // as many seeds as without the race detector, and more
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutantVariable, i))
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the mutant passes:\n%s", out)
	}
	return out
}
