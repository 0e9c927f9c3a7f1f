package work_test

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/blocking-coordination/coord/internal/work"
)

// judge watches a world and keeps the first invariant that was broken.
type judge struct {
	desk   *work.Desk // straight on the memory
	units  []string
	owners []work.Owner
	seen   func(string)

	crashed func(work.Owner) bool

	raw     map[string]string            // decisions as first seen
	ended   map[place]work.Decision      // the same, opened
	epochs  map[string]int64             // the lowest open epoch of each unit
	dead    map[work.Owner][]work.Intent // what stood in the list when the death was first seen
	ever    map[owned]bool               // what ever stood in a list before its owner was dead
	handled map[work.Owner]bool
	begun   map[string][]beginning
	wrong   error
}

type place struct {
	unit  string
	epoch int64
}

type owned struct {
	owner work.Owner
	unit  string
	epoch int64
}

// beginning is an epoch that somebody began to run, and all that it ever tried to leave to its heirs.
type beginning struct {
	epoch int64
	owner work.Owner
	left  []string // the base, then what was tried
	acked int      // how many of them were acknowledged
}

func newJudge(d *work.Desk, units []string, owners []work.Owner, seen func(string)) *judge {
	return &judge{
		desk: d, units: units, owners: owners, seen: seen,
		raw: map[string]string{}, ended: map[place]work.Decision{}, epochs: map[string]int64{},
		dead: map[work.Owner][]work.Intent{}, ever: map[owned]bool{},
		handled: map[work.Owner]bool{}, begun: map[string][]beginning{},
	}
}

func (j *judge) fail(format string, args ...any) {
	if j.wrong == nil {
		j.wrong = fmt.Errorf(format, args...)
	}
}

// look compares what is there with what was.
func (j *judge) look() {
	for _, o := range j.owners {
		j.lookAtOwner(o)
	}
	for _, u := range j.units {
		for e := int64(0); e <= j.epochs[u]+1; e++ {
			j.lookAtEpoch(u, e)
		}
	}
	for _, o := range j.owners {
		j.lookAtHandled(o)
	}
}

// lookAtOwner notes what stood in a list before the owner's death was visible.
func (j *judge) lookAtOwner(o work.Owner) {
	if _, died := j.dead[o]; died {
		return
	}
	j.lookAtList(o)
	if _, err := j.desk.Store.Get(ctx, j.desk.Space.Dead(o.ID, o.Incarnation).Decision()); err == nil {
		j.dead[o], _ = j.desk.Intents(ctx, o)
	}
}

func (j *judge) lookAtList(o work.Owner) {
	names := j.desk.Space.Intents(o.ID, o.Incarnation)
	raw, _ := j.desk.Store.Get(ctx, names.Tail)
	tail, _ := strconv.ParseInt(string(raw), 10, 64)
	for n := int64(1); n <= tail; n++ {
		key := names.Entry(n)
		if j.raw[key] != "" {
			continue
		}
		if data, err := j.desk.Store.Get(ctx, key); err == nil {
			j.raw[key] = string(data)
			i, _ := j.desk.OpenIntent(o, data)
			j.ever[owned{o, i.Unit.ID, i.Epoch}] = true
		}
	}
}

// lookAtEpoch keeps I1, I3, X1 and X2.
func (j *judge) lookAtEpoch(u string, e int64) {
	key := j.desk.Space.Epoch(u, e).Decision()
	data, err := j.desk.Store.Get(ctx, key)
	if err != nil {
		if j.raw[key] != "" {
			j.fail("X1: the decision on epoch %d of %s is gone", e, u)
		}
		return
	}
	if was := j.raw[key]; was == string(data) {
		return
	} else if was != "" {
		j.fail("X1: epoch %d of %s was decided twice: %s and %s", e, u, was, data)
	}
	j.raw[key] = string(data)
	d, found, err := j.desk.Ended(ctx, u, e)
	if !found || err != nil {
		j.fail("the decision on epoch %d of %s does not open: %v", e, u, err)
		return
	}
	j.decided(u, e, d)
}

func (j *judge) decided(u string, e int64, d work.Decision) {
	j.ended[place{u, e}] = d
	j.epochs[u] = max(j.epochs[u], e+1)
	if before, ok := j.ended[place{u, e - 1}]; e > 0 && (!ok || before.To == nil) {
		j.fail("I3: epoch %d of %s is decided, the one before is not given to anybody", e, u)
	}
	if _, after := j.ended[place{u, e + 1}]; after && d.Done != nil {
		j.fail("X2: %s was done in epoch %d, and later epochs are decided", u, e)
	}
	if d.To != nil && !j.ever[owned{*d.To, u, e + 1}] {
		j.fail("I1: epoch %d of %s went to %v, in whose list it did not stand before it was dead", e, u, *d.To)
	}
	if d.To != nil && e == 0 && d.By != d.To.String() {
		j.seen("a claim that stopped half-way was closed")
	}
	if d.To != nil && e > 1 {
		j.seen("handed over in a second epoch")
	}
}

// lookAtHandled keeps I2.
func (j *judge) lookAtHandled(o work.Owner) {
	if j.handled[o] {
		return
	}
	if done, err := j.desk.Handled(ctx, o); !done || err != nil {
		return
	}
	j.handled[o] = true
	if death, _, _ := j.desk.Dead(ctx, o); death.Reason == work.Left && j.crashed(o) {
		j.seen("a Leave that stopped half-way was finished")
	}
	if _, died := j.dead[o]; !died {
		j.fail("I2: %v is handled and not dead", o)
	}
	for _, i := range j.dead[o] {
		before, ok := j.ended[place{i.Unit.ID, i.Epoch - 1}]
		_, own := j.ended[place{i.Unit.ID, i.Epoch}]
		if !ok || before.Gives(o) && !own {
			j.fail("I2: %v is handled, its epoch %d of %s is open (before decided: %v)", o, i.Epoch, i.Unit.ID, ok)
		}
	}
}

// began keeps X1, X4 and X5 of one who begins.
func (j *judge) began(me work.Owner, u string, f int64, base []byte) {
	j.look()
	if d, ok := j.ended[place{u, f - 1}]; !ok || !d.Gives(me) {
		j.fail("X1: %v begins epoch %d of %s, which is not its own", me, f, u)
	}
	if _, over := j.ended[place{u, f}]; over {
		j.fail("X5: %v begins epoch %d of %s after its end", me, f, u)
	}
	if all := j.begun[u]; len(all) > 0 {
		j.inherits(me, u, f, string(base), all[len(all)-1])
	} else if len(base) > 0 {
		j.fail("X4: %v begins %s with %q, and nobody ran it before", me, u, base)
	}
	j.begun[u] = append(j.begun[u], beginning{epoch: f, owner: me, left: []string{string(base)}, acked: 1})
}

// inherits: the base is what the last who ran left: the newest that it was acknowledged, or something newer of its own.
func (j *judge) inherits(me work.Owner, u string, f int64, base string, last beginning) {
	if last.epoch >= f {
		j.fail("X5: %v begins epoch %d of %s after epoch %d was begun", me, f, u, last.epoch)
	}
	switch i := slices.Index(last.left, base); {
	case i < 0:
		j.fail("X4: %v begins epoch %d of %s with %q, which epoch %d did not leave: %q", me, f, u, base, last.epoch, last.left)
	case i < last.acked-1:
		j.fail("%v begins epoch %d of %s with %q, older than the acknowledged %q", me, f, u, base, last.left[last.acked-1])
	}
}

func (j *judge) last(u string, f int64) *beginning {
	for i := range j.begun[u] {
		if j.begun[u][i].epoch == f {
			return &j.begun[u][i]
		}
	}
	return nil
}

func (j *judge) tries(u string, f int64, state string) {
	b := j.last(u, f)
	b.left = append(b.left, state)
}

// acknowledged: X4, no epoch is acknowledged anything after its end.
func (j *judge) acknowledged(u string, f int64) {
	j.look()
	if d, over := j.ended[place{u, f}]; over && d.To != nil {
		j.fail("X4: epoch %d of %s was acknowledged a checkpoint after it went to %v", f, u, *d.To)
	}
	b := j.last(u, f)
	b.acked = len(b.left)
}

// done: what Done confirmed is the unit's result.
func (j *judge) done(me work.Owner, u string, f int64, result string) {
	j.look()
	if d := j.ended[place{u, f}]; d.Done == nil || d.Done.Owner != me || string(d.Done.Value) != result {
		j.fail("X2: %v was confirmed that %s is done in epoch %d: %+v", me, u, f, d)
	}
}

// finished is X3, after all that can be escalated was.
func (j *judge) finished() {
	j.look()
	for _, u := range j.units {
		if _, accepted := j.ended[place{u, 0}]; !accepted {
			continue
		}
		if d := j.ended[place{u, j.epochs[u] - 1}]; d.Done == nil {
			j.fail("X3: %s was accepted; it is neither done nor owned by anybody who lives: epoch %d went to %v", u, j.epochs[u]-1, d.To)
		}
	}
}
