package coord_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

var (
	errRefused = errors.New("connection reset before the request")
	errNoReply = errors.New("connection reset before the reply")
	errCut     = errors.New("no route to the store")
	errCrashed = errors.New("this process has crashed")
)

// sky is what all processes share: the store, and what is known of it from outside.
type sky struct {
	*memstore.Store
	noted func(subject, what string) // a fault was met

	mu    sync.Mutex
	down  bool
	beats map[work.Owner]beat // that reached the store, whatever their senders learned of it
	met   int                 // faults
}

// beat is the last one of an incarnation.
type beat struct {
	seq    int64
	at     time.Time
	before time.Time // when the one before was
	hidden bool      // an older one was written over it, perhaps before any monitor saw it
}

const heartbeats = "blocking:heartbeat:"

// batch does ops, and notes the heartbeats among them.
func (s *sky) batch(ctx context.Context, ops []store.Op) []store.Result {
	results := s.Store.Batch(ctx, ops)
	for i, op := range ops {
		if op.Kind == store.OpSetEX && results[i].Err == nil && strings.HasPrefix(op.Key, heartbeats) {
			s.beat(op.Key[len(heartbeats):], op.Value)
		}
	}
	return results
}

// beat notes a heartbeat. An old one that is written again is no life.
func (s *sky) beat(id string, value []byte) {
	o := work.Owner{ID: id, Incarnation: number(value, `"incarnation":`)}
	seq := number(value, `"seq":`)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch b := s.beats[o]; {
	case seq > b.seq:
		s.beats[o] = beat{seq: seq, at: time.Now(), before: b.at}
	case seq < b.seq:
		b.hidden = true
		s.beats[o] = b
	}
}

// number is the one that stands behind name.
func number(value []byte, name string) int64 {
	_, after, _ := bytes.Cut(value, []byte(name))
	digits, _, _ := bytes.Cut(after, []byte{','})
	n, _ := strconv.ParseInt(string(digits), 10, 64)
	return n
}

// lastBeat is when o last beat, or the look of a monitor before that, where the beat may have been seen by none. A beat of
// this very moment may have come behind a look.
func (s *sky) lastBeat(o work.Owner) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.beats[o]
	switch {
	case b.at.Equal(time.Now()) && !b.before.IsZero():
		return b.before, known
	case b.hidden:
		return b.at.Add(-policy.Check), known
	}
	return b.at, known
}

func (s *sky) count(subject, what string) {
	s.mu.Lock()
	s.met++
	s.mu.Unlock()
	s.noted(subject, what)
}

func (s *sky) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *sky) faults() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met
}

// fault happens to one operation: the one after as many others as `after` says.
type fault struct {
	kind  string // refused, lost, ghost
	after int
	later time.Duration // when a ghost appears
}

// link is one process's way to the store, and what befalls it there.
type link struct {
	*sky
	name string
	bare bool // no capabilities

	mu      sync.Mutex
	crashed bool
	cut     bool
	hangs   bool // while it is cut, an operation is not refused but hangs
	armed   []fault
	hints   int
	subs    []*sub
}

// sub is a subscription: who was cut off is told that hints may have been missed.
type sub struct{ fn func([]byte) }

const hanging = 2 * time.Second // the time-out of a driver

// reach returns why the store cannot be reached.
func (l *link) reach(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err, hangs := l.broken()
	if err != nil && hangs {
		ctx, cancel := context.WithTimeout(ctx, hanging)
		defer cancel()
		<-ctx.Done()
	}
	return err
}

func (l *link) broken() (err error, hangs bool) {
	down := l.isDown()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.crashed:
		return errCrashed, false
	case l.cut || down:
		return errCut, l.hangs
	}
	return nil, false
}

func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.crashed
}

func (l *link) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashed = true
}

// sever cuts it off, or connects it again.
func (l *link) sever(cut, hangs bool) {
	l.mu.Lock()
	l.cut, l.hangs = cut, hangs
	l.mu.Unlock()
	if !cut {
		l.reconnected()
	}
}

// reconnected: hints may have been missed.
func (l *link) reconnected() {
	l.mu.Lock()
	subs := slices.Clone(l.subs)
	l.mu.Unlock()
	for _, s := range subs {
		if err, _ := l.broken(); err == nil {
			s.fn(nil)
		}
	}
}

func (l *link) arm(f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = append(l.armed, f)
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = nil
}

// next is the fault that one of the next n operations meets, and which one.
func (l *link) next(n int) (fault, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.armed) == 0 {
		return fault{}, n
	}
	f := l.armed[0]
	if f.after >= n {
		l.armed[0].after -= n
		return fault{}, n
	}
	l.armed = l.armed[1:]
	return f, f.after
}

// through does ops in one trip, as far as fate has it.
func (l *link) through(ctx context.Context, ops []store.Op) []store.Result {
	if err := l.reach(ctx); err != nil {
		return failed(nil, len(ops), err)
	}
	f, i := l.next(len(ops))
	if i == len(ops) {
		return l.batch(ctx, ops)
	}
	l.count(l.name, f.kind+" "+ops[i].Key)
	switch f.kind {
	case "refused":
		return failed(l.batch(ctx, ops[:i]), len(ops), errRefused)
	case "lost":
		return failed(l.batch(ctx, ops)[:i], len(ops), errNoReply)
	}
	ghosts := cloned(ops[i:])
	time.AfterFunc(f.later, func() { l.batch(context.Background(), ghosts) })
	return failed(l.batch(ctx, ops[:i]), len(ops), errNoReply)
}

// failed fills up results to n.
func failed(results []store.Result, n int, err error) []store.Result {
	results = slices.Clip(results)
	for len(results) < n {
		results = append(results, store.Result{Err: err})
	}
	return results
}

func cloned(ops []store.Op) []store.Op {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].Value = bytes.Clone(ops[i].Value)
	}
	return ops
}

func (l *link) one(ctx context.Context, op store.Op) store.Result {
	return l.through(ctx, []store.Op{op})[0]
}

func (l *link) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return l.one(ctx, store.SetEXOp(key, value, ttl)).Err
}

func (l *link) Get(ctx context.Context, key string) ([]byte, error) {
	r := l.one(ctx, store.GetOp(key))
	return r.Value, r.Err
}

func (l *link) Incr(ctx context.Context, key string) (int64, error) {
	r := l.one(ctx, store.IncrOp(key))
	return r.N, r.Err
}

func (l *link) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	r := l.one(ctx, store.ExpireOp(key, ttl))
	return r.OK, r.Err
}

func (l *link) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := l.reach(ctx); err != nil {
		return nil, err
	}
	if _, i := l.next(1); i < 1 {
		l.count(l.name, "refused: all keys "+prefix)
		return nil, errRefused
	}
	return l.Store.Keys(ctx, prefix)
}

// Batch implements store.Batcher.
func (l *link) Batch(ctx context.Context, ops []store.Op) []store.Result { return l.through(ctx, ops) }

// Append implements store.Appender.
func (l *link) Append(ctx context.Context, a store.Append) (int64, error) {
	if err := l.reach(ctx); err != nil {
		return 0, err
	}
	f, i := l.next(1)
	if i == 1 {
		return l.Store.Append(ctx, a)
	}
	l.count(l.name, f.kind+" append "+a.Entry)
	switch f.kind {
	case "refused":
		return 0, errRefused
	case "lost":
		_, _ = l.Store.Append(ctx, a)
	default:
		a.Value = bytes.Clone(a.Value)
		time.AfterFunc(f.later, func() { _, _ = l.Store.Append(context.Background(), a) })
	}
	return 0, errNoReply
}

// Publish implements store.Hinter.
func (l *link) Publish(ctx context.Context, channel string, payload []byte) error {
	return l.one(ctx, store.PublishOp(channel, payload)).Err
}

// Subscribe implements store.Hinter. One hint in fifty gets lost.
func (l *link) Subscribe(channel string, fn func([]byte)) func() {
	s := &sub{fn}
	l.mu.Lock()
	l.subs = append(l.subs, s)
	l.mu.Unlock()
	cancel := l.Store.Subscribe(channel, func(payload []byte) {
		if l.hears() {
			fn(payload)
		}
	})
	return func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.subs = slices.DeleteFunc(l.subs, func(o *sub) bool { return o == s })
	}
}

func (l *link) hears() bool {
	err, _ := l.broken()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hints++
	return err == nil && l.hints%50 != 0
}

func (l *link) Capabilities() store.Capabilities {
	if l.bare {
		return store.Capabilities{}
	}
	return store.Capabilities{Batch: l, Append: l, Hints: l}
}

// outage is the whole store being away, until it is called with false.
func (s *sky) outage(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}
