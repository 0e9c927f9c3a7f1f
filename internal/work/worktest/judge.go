package worktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// watched tells of every write, at once, whoever did it and however late.
type watched struct {
	store.Store
	wrote func(key string)
}

func (w watched) SetEX(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	defer w.wrote(key)
	return w.Store.SetEX(ctx, key, value, ttl)
}

func (w watched) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if ttl <= 0 {
		defer w.wrote(key)
	}
	return w.Store.Expire(ctx, key, ttl)
}

func (w watched) Capabilities() (caps store.Capabilities) {
	has := store.CapabilitiesOf(w.Store)
	if has.Append != nil {
		caps.Append = w
	}
	if has.Batch != nil {
		caps.Batch = w
	}
	return caps
}

func (w watched) Append(ctx context.Context, a store.Append) (n int64, err error) {
	defer func() { w.wrote(a.Entry + fmt.Sprint(n)) }()
	return store.CapabilitiesOf(w.Store).Append.Append(ctx, a)
}

func (w watched) Batch(ctx context.Context, ops []store.Op) []store.Result {
	defer func() {
		for _, op := range ops {
			if op.Kind == store.OpSetEX || op.Kind == store.OpExpire && op.TTL <= 0 {
				w.wrote(op.Key)
			}
		}
	}()
	return store.Batch(ctx, w.Store, ops)
}

// judge reads what was written, and keeps the first invariant that was broken.
type judge struct {
	store   store.Store
	seen    func(string)
	crashed func(work.Owner) bool
	weeks   bool // what is over may expire

	looks map[string]func(data []byte) // what it does about a key that was written
	lists []list

	raw    map[string][]byte       // decisions as first seen
	ended  map[place]work.Decision // the same, opened
	epochs map[string]int64        // the lowest open epoch of each unit
	dead   map[work.Owner]work.Reason
	meant  map[work.Owner][]work.Intent // what ever stood in a list before its owner was dead
	begun  map[string][]*beginning
	wrong  error
}

type place struct {
	unit  string
	epoch int64
}

type list struct {
	owner work.Owner
	keys  keys.Log
}

// beginning is an epoch that somebody began to run, and all that it ever tried to leave to its heirs.
type beginning struct {
	epoch int64
	left  []string // the base, then what was tried
	acked int      // how many of them were acknowledged
}

func newJudge(s store.Store, seen func(string), crashed func(work.Owner) bool) *judge {
	return &judge{
		store: s, seen: seen, crashed: crashed,
		looks: map[string]func([]byte){}, raw: map[string][]byte{}, ended: map[place]work.Decision{},
		epochs: map[string]int64{}, dead: map[work.Owner]work.Reason{},
		meant: map[work.Owner][]work.Intent{}, begun: map[string][]*beginning{},
	}
}

func (j *judge) fail(format string, args ...any) {
	if j.wrong == nil {
		j.wrong = fmt.Errorf(format, args...)
	}
}

// wrote looks at what stands at key, if that is of interest.
func (j *judge) wrote(key string) {
	look := j.looks[key]
	for _, l := range j.lists {
		if _, ok := l.keys.Ticket(key); ok && j.dead[l.owner] == "" {
			look = func(data []byte) { j.lookAtIntent(l.owner, data) }
		}
	}
	if look == nil {
		return
	}
	data, err := j.store.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		j.fail("error: the judge reads %s: %v", key, err)
		return
	}
	look(data)
}

// watchOwner has the judge look at the list, the death and the handling of o.
func (j *judge) watchOwner(o work.Owner) {
	j.lists = append(j.lists, list{o, space.Intents(o.ID, o.Incarnation)})
	death := space.Dead(o.ID, o.Incarnation).Decision()
	j.looks[death] = func(data []byte) { j.lookAtDeath(o, death, data) }
	handled := space.Handled(o.ID, o.Incarnation)
	j.looks[handled] = func(data []byte) { j.lookAtHandled(o, handled, data) }
}

// watchEpochs has the judge look at the epochs of u from e on, as far as anybody may get before it looks again.
func (j *judge) watchEpochs(u string, e int64) {
	for e := e; e <= j.epochs[u]+1; e++ {
		key := space.Epoch(u, e).Decision()
		j.looks[key] = func(data []byte) { j.lookAtEpoch(u, e, key, data) }
	}
}

// lookAtIntent notes what stood in a list before the owner's death was visible.
func (j *judge) lookAtIntent(o work.Owner, data []byte) {
	i, err := envelope.OpenJSON[work.Intent](ring, envelope.KindIntent, data, o.ID, fmt.Sprint(o.Incarnation))
	if err == nil && !slices.Contains(j.meant[o], i) {
		j.meant[o] = append(j.meant[o], i)
	}
}

func (j *judge) lookAtDeath(o work.Owner, key string, data []byte) {
	death, err := envelope.OpenJSON[work.Death](ring, envelope.KindDecision, data, key)
	if err != nil {
		j.fail("D4: the death of %v: %v", o, err)
	}
	if j.changed(key, data) {
		j.fail("D4: the death of %v was decided twice: %s and %s", o, j.raw[key], data)
	}
	j.dead[o] = death.Reason
}

// changed reports whether another decision stood at key before.
func (j *judge) changed(key string, data []byte) bool {
	was, known := j.raw[key]
	if !known {
		j.raw[key] = data
	}
	return known && !bytes.Equal(was, data)
}

// lookAtEpoch keeps I1, I3, X1 and X2.
func (j *judge) lookAtEpoch(u string, e int64, key string, data []byte) {
	if j.changed(key, data) {
		j.fail("X1: epoch %d of %s was decided twice: %s and %s", e, u, j.raw[key], data)
		return
	}
	d, err := envelope.OpenJSON[work.Decision](ring, envelope.KindDecision, data, key)
	if err != nil {
		j.fail("X1: the decision on epoch %d of %s: %v", e, u, err)
		return
	}
	if _, again := j.ended[place{u, e}]; !again {
		j.decided(u, e, d)
	}
}

func (j *judge) decided(u string, e int64, d work.Decision) {
	j.ended[place{u, e}] = d
	j.epochs[u] = max(j.epochs[u], e+1)
	j.watchEpochs(u, e)
	if before, ok := j.ended[place{u, e - 1}]; e > 0 && (!ok || before.To == nil) {
		j.fail("I3: epoch %d of %s is decided, the one before is not given to anybody", e, u)
	}
	if _, after := j.ended[place{u, e + 1}]; after && d.Done != nil {
		j.fail("X2: %s was done in epoch %d, and later epochs are decided", u, e)
	}
	if d.To == nil {
		return
	}
	if !slices.ContainsFunc(j.meant[*d.To], func(i work.Intent) bool { return i.Unit.ID == u && i.Epoch == e+1 }) {
		j.fail("I1: epoch %d of %s went to %v, in whose list it did not stand before it was dead", e, u, *d.To)
	}
	if e == 0 && d.By != d.To.String() {
		j.seen("a claim that stopped half-way was closed")
	}
	if e > 1 {
		j.seen("handed over in a second epoch")
	}
}

// lookAtHandled keeps I2.
func (j *judge) lookAtHandled(o work.Owner, key string, data []byte) {
	if _, err := envelope.OpenJSON[work.Owner](ring, envelope.KindDecision, data, key); err != nil {
		j.fail("I2: that %v is handled: %v", o, err)
	}
	if j.dead[o] == "" {
		j.fail("I2: %v is handled and not dead", o)
	}
	if j.dead[o] == work.Left && j.crashed(o) {
		j.seen("a Leave that stopped half-way was finished")
	}
	for _, i := range j.meant[o] {
		before, ok := j.ended[place{i.Unit.ID, i.Epoch - 1}]
		_, own := j.ended[place{i.Unit.ID, i.Epoch}]
		if !ok || before.Gives(o) && !own {
			j.fail("I2: %v is handled, its epoch %d of %s is open (before decided: %v)", o, i.Epoch, i.Unit.ID, ok)
		}
	}
}
