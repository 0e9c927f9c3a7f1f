package ticketlog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
	"pgregory.net/rapid"
)

var long = flag.Bool("coord.long", false, "explore far more interleavings")

var (
	names = keys.In("t").Mailbox("r")
	times = ticketlog.Times{Entry: 24 * time.Hour, Tail: 48 * time.Hour, Skip: time.Minute, Grace: 2 * time.Second}
)

// mutants break one actor's view of the store, which is the same as leaving out one step of the procedure.
type mutants struct {
	writer, reader func(store.Store) store.Store
	frozen         bool // the writer does not notice that time passes
}

// scene is two writers and a reader that may be restarted, with everything that may go wrong.
type scene struct {
	world     *sim.World
	confirmed []string
	read      []string
	position  int64
	over      bool
}

func (s *scene) log(a *sim.Actor, broken func(store.Store) store.Store) ticketlog.Log {
	st := a.Store()
	if broken != nil {
		st = broken(st)
	}
	return ticketlog.Log{Store: st, Keys: names, Times: times, Now: a.Now}
}

func (s *scene) writer(name string, entries int, m mutants) {
	s.world.Spawn(name, func(a *sim.Actor) {
		log := s.log(a, m.writer)
		if m.frozen {
			log.Now = func() time.Time { return sim.Start }
		}
		for i := range entries {
			value := fmt.Sprintf("%s%d", name, i)
			for range 4 {
				if _, err := log.Append(context.Background(), []byte(value), ""); err == nil {
					s.confirmed = append(s.confirmed, value)
					break
				}
			}
		}
	})
}

func (s *scene) reader(name string, m mutants) {
	s.world.Spawn(name, func(a *sim.Actor) {
		defer func() {
			if a.Crashed() && !s.over {
				s.reader(name+"'", m) // the next life starts where the last one had certainly been
			}
		}()
		r := ticketlog.Reader{Log: s.log(a, m.reader)}
		r.StartAt(s.position)
		for range 2 {
			s.pass(&r)
			a.Sleep(times.Grace)
		}
	})
}

func (s *scene) pass(r *ticketlog.Reader) {
	entries, _ := r.Read(context.Background())
	for _, e := range entries {
		s.read = append(s.read, string(e.Value))
	}
	s.position = r.Lowest()
}

func play(c sim.Chooser, opts sim.Options, entries int, m mutants) (*scene, error) {
	s := &scene{world: sim.New(c, opts)}
	s.writer("a", entries, m)
	s.writer("b", entries, m)
	s.reader("r", m)
	err := s.world.Run()
	s.over = true
	if err != nil {
		return s, err
	}
	s.finish()
	return s, s.check()
}

// finish reads, with nothing in its way, what is left for the reader's next life.
func (s *scene) finish() {
	last := ticketlog.Reader{Log: ticketlog.Log{Store: s.world.Mem, Keys: names, Times: times, Now: s.world.Clock.Now}}
	last.StartAt(s.position)
	for range 3 {
		s.pass(&last)
		s.world.Clock.Advance(times.Grace)
	}
}

// check: what was confirmed was read, and what one writer wrote was first read in its order.
func (s *scene) check() error {
	for i, v := range s.confirmed {
		at := slices.Index(s.read, v)
		if at < 0 {
			return fmt.Errorf("%s was confirmed and never read", v)
		}
		for _, earlier := range s.confirmed[:i] {
			if earlier[0] == v[0] && slices.Index(s.read, earlier) > at {
				return fmt.Errorf("%s was confirmed before %s was begun, and read after it", earlier, v)
			}
		}
	}
	return nil
}

var hazards = sim.Options{
	Faults: 3, Crashes: 2, Preemptions: -1,
	Freezes: []time.Duration{3 * time.Second, 40 * time.Second, 2 * time.Minute}, MaxFreezes: 3,
}

func TestAppendedIsRead(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		t.Run(fmt.Sprintf("append in one step %v", atOnce), rapid.MakeCheck(func(t *rapid.T) {
			opts := hazards
			opts.Append = atOnce
			s, err := play(sim.Drawn(t), opts, 2, mutants{})
			if err != nil {
				t.Fatalf("%v\n%s", err, s.world.Transcript())
			}
		}))
	}
}

// explore plays every interleaving of a small configuration with few preemptions and faults, and then random larger
// ones; it returns the first that breaks an invariant.
func explore(t *testing.T, limit int, m mutants) (*scene, error) {
	var failed *scene
	var cause error
	try := func(c sim.Chooser, opts sim.Options, entries int) bool {
		s, err := play(c, opts, entries, m)
		if err != nil {
			failed, cause = s, err
		}
		return err == nil
	}
	small := sim.Options{Faults: 1, Preemptions: 2, Freezes: []time.Duration{40 * time.Second}, MaxFreezes: 1}
	seed := uint64(0)
	for ; seed < uint64(limit) && try(sim.Random(seed), hazards, 2); seed++ {
	}
	t.Logf("%d random runs", seed)
	if cause == nil {
		runs, complete := sim.Explore(limit, func(c sim.Chooser) bool { return try(c, small, 1) })
		t.Logf("%d interleavings of a small configuration; all of them: %v", runs, complete)
	}
	return failed, cause
}

func TestAppendedIsReadExhaustively(t *testing.T) {
	limit := 30_000
	if *long {
		limit = 10_000_000
	}
	if s, err := explore(t, limit, mutants{}); err != nil {
		t.Fatalf("%v\n%s", err, s.world.Transcript())
	}
}

// Each of the four steps, left out, loses an entry.
func TestLeavingOutAStepIsFound(t *testing.T) {
	for name, m := range map[string]mutants{
		"the writer does not look for the flag":        {writer: blind},
		"the writer does not mind the time":            {frozen: true},
		"the reader does not write the flag":           {reader: silent},
		"the reader does not look again":               {reader: once},
		"the reader closes a hole without the outcome": {reader: hopeful},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := explore(t, 100_000, m)
			if err == nil {
				t.Fatal("no interleaving shows that the step is needed")
			}
			t.Logf("%v\n%s", err, s.world.Transcript())
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

func fixture() (*memstore.Store, *memstore.FakeClock, ticketlog.Log) {
	clock := memstore.NewFakeClock(time.Time{})
	mem := memstore.New(memstore.WithClock(clock))
	return mem, clock, ticketlog.Log{Store: mem, Keys: names, Times: times, Now: clock.Now}
}

func TestAReaderWithoutAPositionFindsWhatIsThere(t *testing.T) {
	ctx := context.Background()
	mem, clock, log := fixture()
	for i := range 5000 {
		n, err := log.Append(ctx, []byte(fmt.Sprint(i)), "")
		if err != nil {
			t.Fatal(err)
		}
		if n%1000 != 0 {
			_, _ = mem.Expire(ctx, names.Entry(n), 0)
		}
	}
	r := ticketlog.Reader{Log: log}
	if err := r.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Read(ctx); len(e) != 0 || err != nil {
		t.Fatalf("read %d entries, %v, while a writer may still be writing", len(e), err)
	}
	clock.Advance(times.Skip/2 + time.Second)
	e, err := r.Read(ctx)
	if err != nil || len(e) != 5 {
		t.Fatalf("read %d entries, %v; want 5", len(e), err)
	}
}

func TestACounterFarAheadIsNoPanic(t *testing.T) {
	ctx := context.Background()
	mem, clock, log := fixture()
	if err := mem.SetEX(ctx, names.Tail, []byte("9000000000000000000"), time.Hour); err != nil {
		t.Fatal(err)
	}
	r := ticketlog.Reader{Log: log}
	for range 3 {
		if _, err := r.Read(ctx); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
	}
	if _, err := log.Append(ctx, []byte("x"), ""); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Read(ctx); err != nil || len(e) != 1 {
		t.Fatalf("read %d entries, %v; want 1", len(e), err)
	}
}

func TestACounterThatWentBackIsReported(t *testing.T) {
	ctx := context.Background()
	mem, _, log := fixture()
	for range 3 {
		_, _ = log.Append(ctx, []byte("x"), "")
	}
	r := ticketlog.Reader{Log: log}
	_, _ = r.Read(ctx)
	_ = mem.SetEX(ctx, names.Tail, []byte("1"), time.Hour)
	if _, err := r.Read(ctx); !errors.Is(err, ticketlog.ErrRegressed) {
		t.Fatalf("err = %v, want ErrRegressed", err)
	}
}

// A hint's number is not signed: a reader that believed one still reads what stands there, and is not misled by a
// number that nobody ever took.
func TestALyingHintHidesNothing(t *testing.T) {
	ctx := context.Background()
	_, _, log := fixture()
	r := ticketlog.Reader{Log: log}
	if !r.Offer(1) || r.Offer(3) || r.Lowest() != 1 {
		t.Fatalf("lowest = %d after a hint for 1", r.Lowest())
	}
	if _, err := r.Read(ctx); err != nil {
		t.Fatalf("a ticket that only a hint spoke of looks like a loss: %v", err)
	}
	_, _ = log.Append(ctx, []byte("true"), "")
	if e, err := r.Read(ctx); err != nil || len(e) != 1 || string(e[0].Value) != "true" {
		t.Fatalf("read %v, %v", e, err)
	}
	_, _ = log.Append(ctx, []byte("second"), "")
	if !r.Offer(2) {
		t.Fatal("the next ticket was not taken")
	}
	if e, err := r.Verify(ctx); err != nil || len(e) != 1 || string(e[0].Value) != "second" || r.Lowest() != 3 {
		t.Fatalf("verified %v, %v; lowest %d", e, err, r.Lowest())
	}
}
