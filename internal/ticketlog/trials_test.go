package ticketlog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// scene is two writers and a reader that may be restarted, with everything that may go wrong.
type scene struct {
	world     *sim.World
	confirmed []string
	read      []string
	position  int64
	over      bool
}

func (s *scene) log(a *sim.Actor, broken func(store.Store) store.Store) ticketlog.Log {
	var st store.Store = noting{a.Store(), s.world}
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

func play(on sim.Ground, c sim.Chooser, opts sim.Options, entries int, m mutants) (*sim.World, error) {
	s := &scene{world: sim.On(on, c, opts)}
	s.writer("a", entries, m)
	s.writer("b", entries, m)
	s.reader("r", m)
	err := s.world.Run()
	s.over = true
	if err == nil {
		s.finish()
		err = s.check()
	}
	return s.world, err
}

// finish reads, with nothing in its way, what is left for the reader's next life.
func (s *scene) finish() {
	last := ticketlog.Reader{Log: ticketlog.Log{Store: s.world.Store, Keys: names, Times: times, Now: s.world.Now}}
	last.StartAt(s.position)
	for range 3 {
		s.pass(&last)
		s.world.Advance(times.Grace)
	}
}

// check: what was confirmed was read, and what one writer wrote was first read in its order.
func (s *scene) check() error {
	for i, v := range s.confirmed {
		at := slices.Index(s.read, v)
		if at < 0 {
			return fmt.Errorf("S1: %s was confirmed and never read", v)
		}
		for _, earlier := range s.confirmed[:i] {
			if earlier[0] == v[0] && slices.Index(s.read, earlier) > at {
				return fmt.Errorf("S6: %s was confirmed before %s was begun, and read after it", earlier, v)
			}
		}
	}
	return nil
}

// noting counts the states in which the flags on holes matter.
type noting struct {
	store.Store
	world *sim.World
}

func (n noting) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := n.Store.SetEX(ctx, key, value, ttl)
	n.note(store.OpSetEX, key, err)
	return err
}

func (n noting) Get(ctx context.Context, key string) ([]byte, error) {
	data, err := n.Store.Get(ctx, key)
	n.note(store.OpGet, key, err)
	return data, err
}

func (n noting) Capabilities() store.Capabilities {
	caps := store.CapabilitiesOf(n.Store)
	if caps.Batch != nil {
		caps.Batch = n
	}
	return caps
}

func (n noting) Batch(ctx context.Context, ops []store.Op) []store.Result {
	results := store.Batch(ctx, n.Store, ops)
	for i, r := range results {
		n.note(ops[i].Kind, ops[i].Key, r.Err)
	}
	return results
}

func (n noting) note(kind store.OpKind, key string, err error) {
	switch {
	case err != nil || !strings.Contains(key, ":skip:"):
	case kind == store.OpSetEX:
		n.world.Seen("a hole was flagged")
	default:
		n.world.Seen("a writer saw the flag")
	}
}

var hazards = sim.Options{
	Faults: 3, Crashes: 2, Preemptions: -1,
	Freezes: []time.Duration{3 * time.Second, 40 * time.Second, 2 * time.Minute}, MaxFreezes: 3,
}

// trial is four entries, with everything that may go wrong.
func trial(name string, m mutants, change func(*sim.Options), reached ...string) proof.Trial {
	opts := hazards
	change(&opts)
	return proof.Trial{
		Name:    name,
		Chance:  sim.Sticky,
		Reached: append(reached, "ghost applied", "time jumped", "crashed after it"),
		Play: func(on sim.Ground, c sim.Chooser) (*sim.World, error) {
			return play(on, c, opts, 2, m)
		},
	}
}

func inSteps(*sim.Options) {}

func trials() []proof.Trial {
	return []proof.Trial{
		trial("S1/in steps", mutants{}, inSteps, "a hole was flagged", "a writer saw the flag"),
		trial("S1/in batches", mutants{}, func(o *sim.Options) { o.Batch = true }, "a hole was flagged", "a writer saw the flag"),
		trial("S1/at once", mutants{}, func(o *sim.Options) { o.Append = true }),
	}
}

func TestAppendedIsRead(t *testing.T) {
	proof.Hold(t, proof.Memory, proof.Plan{Seeds: 10_000}, trials()...)
}

// TestAppendedIsReadExhaustively plays two writers of one entry each, a reader, and its next life, in all their
// interleavings, as far as the limits go. Time jumps once, by more than a writer has.
func TestAppendedIsReadExhaustively(t *testing.T) {
	for _, b := range []struct {
		name  string
		opts  sim.Options
		limit int // of an ordinary run
	}{
		{"two preemptions", sim.Options{Preemptions: 2}, 20_000},
		{"a crash, a preemption", sim.Options{Crashes: 1, Preemptions: 1}, 50_000},
		{"a crash, two preemptions", sim.Options{Crashes: 1, Preemptions: 2}, 10_000},
		{"a fault, two preemptions", sim.Options{Faults: 1, Preemptions: 2}, 10_000},
		{"batches, a crash, two preemptions", sim.Options{Crashes: 1, Preemptions: 2, Batch: true}, 10_000},
		{"batches, a fault, two preemptions", sim.Options{Faults: 1, Preemptions: 2, Batch: true}, 10_000},
	} {
		b.opts.Freezes, b.opts.MaxFreezes = []time.Duration{40 * time.Second}, 1
		proof.Every(t, b.limit, 10_000_000, proof.Trial{
			Name: b.name,
			Play: func(on sim.Ground, c sim.Chooser) (*sim.World, error) { return play(on, c, b.opts, 1, mutants{}) },
		})
	}
}
