package redisstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/history"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

const (
	clients   = 6
	soon      = 50 * time.Millisecond // the timeout of every operation
	openEnds  = 20                    // writes of unknown outcome that end a history: beyond, an order is hard to find
	faultGap  = 40                    // operations between two faults
	faultSpan = 3                     // writes of unknown outcome that a fault lasts
)

// weather makes the connection fail, and heals it: it counts operations, not time.
type weather struct {
	server *redistest.Server
	proxy  *redistest.Proxy
	next   int // the number of operations at which the next fault begins
	kinds  []func() (heal func())
	heal   func() // ends the fault that lasts; nil: none does
	until  int    // the number of unknown outcomes at which it is healed
	faults int
}

// after is told of every operation, one after the other.
func (w *weather) after(h *history.History, done int) {
	switch {
	case w.heal != nil && (h.Open() >= w.until || done >= w.next):
		w.heal()
		w.heal, w.next = nil, done+faultGap
	case w.heal == nil && done >= w.next:
		w.heal, w.until, w.next = w.begin(), h.Open()+faultSpan, done+faultGap
		w.faults++
	}
}

// begin begins the next fault and returns what ends it.
func (w *weather) begin() (heal func()) { return w.kinds[w.faults%len(w.kinds)]() }

func (w *weather) cutNextAnswer() (heal func()) {
	w.proxy.CutNextAnswer()
	return func() {}
}

func (w *weather) cut() (heal func()) {
	w.proxy.Cut()
	return func() {}
}

func (w *weather) hold() (heal func()) {
	w.proxy.Hold()
	return w.proxy.Release
}

func (w *weather) loseAnswers() (heal func()) {
	w.proxy.LoseAnswers(true)
	return func() { w.proxy.LoseAnswers(false) }
}

func (w *weather) stop() (heal func()) {
	w.server.Stop()
	return w.server.Continue
}

func (w *weather) clear() {
	if w.heal != nil {
		w.heal()
		w.heal = nil
	}
}

// scene plays histories on one server, behind one proxy.
type scene struct {
	*weather
	operations, open int
}

func newScene(t *testing.T) *scene {
	server := redistest.Start(t, redistest.WithoutPersistence())
	w := &weather{server: server, proxy: redistest.StartProxy(t, server.Addr)}
	w.kinds = []func() (heal func()){w.cutNextAnswer, w.hold, w.cut, w.loseAnswers, w.stop}
	return &scene{weather: w}
}

// play is one history, on keys of its own: what is still under way from an earlier one cannot reach them.
func (s *scene) play(t *testing.T, seed uint64, on func(h *history.History, client int) store.Store) *history.History {
	t.Helper()
	h := &history.History{}
	p := history.Play{
		Prefix: fmt.Sprintf("{h%d}", seed), Seed: seed, Clients: clients, Each: 100, MaxOpen: openEnds, After: s.after,
		Store: func(client int) store.Store { return on(h, client) },
	}
	s.next = faultGap
	p.Run(t.Context(), h)
	s.clear()
	s.operations += h.Len()
	s.open += h.Open()
	return h
}

func (s *scene) report(t *testing.T) {
	t.Helper()
	t.Logf("counted %d operations", s.operations)
	t.Logf("counted %d faults", s.faults)
	t.Logf("reached %7d times: a write of unknown outcome", s.open)
}

func (s *scene) url() string { return "redis://" + s.proxy.Addr }

func histories() uint64 {
	if *proof.Long {
		return 200
	}
	return 5
}

func TestLinearizable(t *testing.T) {
	s := newScene(t)
	shared := opened(t, s.url(), WithTimeout(soon))
	own := opened(t, s.url(), WithTimeout(soon)) // other connections, other pipelines
	for seed := range histories() {
		s.play(t, seed, func(h *history.History, client int) store.Store {
			return h.Of(client, []store.Store{shared, own, shared, shared.Capabilities().Once}[client%4])
		}).Check(t)
	}
	s.report(t)
}

// A breaker tries again: each attempt that failed may still happen, besides the one that was answered.
func TestLinearizableBehindABreaker(t *testing.T) {
	s := newScene(t)
	driver := opened(t, s.url(), WithTimeout(soon))
	for seed := range histories() {
		s.play(t, seed, func(h *history.History, client int) store.Store {
			return h.Answers(client, breaker.Wrap(h.Unknowns(client, driver),
				breaker.Retries(1), breaker.Delays(time.Millisecond, 2*time.Millisecond), breaker.OpenTime(5*time.Millisecond)))
		}).Check(t)
	}
	s.report(t)
}

// retrying undoes what keeps go-redis from sending a command again.
type retrying struct{}

func (retrying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (retrying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, bare(cmd)) }
}

func (retrying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for i, cmd := range cmds {
			cmds[i] = bare(cmd)
		}
		return next(ctx, cmds)
	}
}

func bare(cmd redis.Cmder) redis.Cmder {
	if c, ok := cmd.(once); ok {
		return c.Cmder
	}
	return cmd
}

// With the retries of go-redis an Incr whose answer was lost happens twice, and nobody learns of it.
func TestRetriesAreNotLinearizable(t *testing.T) {
	s := newScene(t)
	s.kinds = []func() (heal func()){s.cutNextAnswer}
	client := redis.NewClient(&redis.Options{Addr: s.proxy.Addr, MaxRetries: 3, MinRetryBackoff: -1})
	defer func() { _ = client.Close() }()
	client.AddHook(retrying{})
	mutant := New(client)
	for seed := range uint64(50) {
		h := s.play(t, seed, func(h *history.History, client int) store.Store { return h.Of(client, mutant) })
		if !h.Linearizable() {
			t.Logf("counted 1 mutants, at history %d", seed)
			return
		}
	}
	t.Error("no history shows that an Incr ran twice")
}
