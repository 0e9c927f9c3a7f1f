package coord

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// Heir is a coordinator that takes work over (OnTakeOver) and whose heartbeat stands.
type Heir struct {
	ID    string
	Units int // how many it has, as far as is known
	owner work.Owner
}

// living lists the heirs, by an audit of the heartbeats: it is asked only when there is something to inherit.
func (c *Client) living(ctx context.Context) ([]Heir, error) {
	names, err := c.store.Keys(ctx, c.space.HeartbeatPrefix())
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	ops := make([]store.Op, len(names))
	for i, name := range names {
		ops[i] = store.GetOp(name)
	}
	var all []Heir
	for i, got := range store.Batch(ctx, c.store, ops) {
		if heir, ok := c.heir(strings.TrimPrefix(names[i], c.space.HeartbeatPrefix()), got); ok {
			all = append(all, heir)
		}
	}
	return all, nil
}

func (c *Client) heir(id string, got store.Result) (Heir, bool) {
	if got.Err != nil {
		return Heir{}, false
	}
	beat, err := envelope.OpenHeartbeat(c.ring, id, got.Value)
	if err != nil {
		return Heir{}, false
	}
	load, offers := strings.CutPrefix(beat.Status, "heir:")
	units, err := strconv.Atoi(load)
	return Heir{ID: id, Units: units, owner: work.Owner{ID: id, Incarnation: beat.Incarnation}}, offers && err == nil
}

// chooser gives each unit to one of the living, who are looked for when the first unit needs an heir. pick chooses; by
// default the one with the fewest units. What it gives away in this pass counts.
type chooser struct {
	client *Client
	ctx    context.Context
	not    work.Owner // the one whose work it is: its next life may have it
	pick   func(unit string, living []Heir) string

	spawn bool // note the orphans

	asked   bool
	living  []Heir
	orphans []work.Intent // units and their epochs that end without an heir
}

func (h *chooser) choose(u work.Unit, e int64, not []work.Owner) (work.Owner, bool) {
	if !h.asked {
		h.asked = true
		h.living, _ = h.client.living(h.ctx) // nobody, if it fails: the next pass asks again
	}
	able := slices.DeleteFunc(slices.Clone(h.living), func(l Heir) bool {
		return l.owner == h.not || slices.Contains(not, l.owner)
	})
	if len(able) == 0 {
		if h.spawn {
			h.orphans = append(h.orphans, work.Intent{Unit: u, Epoch: e})
		}
		return work.Owner{}, false
	}
	id := h.picked(u.ID, able)
	i := slices.IndexFunc(h.living, func(l Heir) bool { return l.ID == id })
	if i < 0 || !slices.ContainsFunc(able, func(l Heir) bool { return l.ID == id }) {
		return work.Owner{}, false
	}
	h.living[i].Units++
	return h.living[i].owner, true
}

// picked is the choice of pick, which a user may have written; nobody where it breaks: the next Check asks again.
func (h *chooser) picked(unit string, able []Heir) (id string) {
	if h.pick == nil {
		return fewest(unit, able)
	}
	err := h.client.guarded(unit, func() error { id = h.pick(unit, able); return nil })
	if err != nil {
		h.client.emit(HandlerFailed{About: "an heir for unit " + unit, Err: err})
	}
	return id
}

func fewest(_ string, living []Heir) string {
	return slices.MinFunc(living, func(a, b Heir) int { return a.Units - b.Units }).ID
}

// bequeath decides my end and gives what I own to the living. Where there is nobody, a monitor goes on later.
func (a *Coordinator) bequeath(ctx context.Context) error {
	err := a.work.stop(ctx, ErrClosed)
	a.leaving.Store(true) // what is decided now is no reason to fence ourselves
	h := chooser{client: a.client, ctx: ctx, not: a.owner()}
	moved, aside, e := a.client.desk.Leave(ctx, a.owner(), h.choose)
	a.client.moved(moved)
	a.client.setAside(aside)
	if errors.Is(e, work.ErrNoHeir) || errors.Is(e, work.ErrSetAside) {
		return err
	}
	if e == nil && !a.scattered.Load() { // or whoever finds a second place in the registry must find its end as well
		e = a.client.desk.Tidy(ctx, a.owner(), a.ticket.Load())
	}
	return errors.Join(err, e)
}

// moved says who inherited what, to the heirs too, who would find it with their next poll.
func (c *Client) moved(all []work.Move) {
	for _, m := range all {
		c.emit(WorkHandedOver{Unit: m.Unit.ID, Epoch: m.Epoch, From: m.From.ID, To: m.To.ID})
		if c.hints != nil {
			_ = c.hints.Publish(c.life, c.space.Channel(m.To.ID), []byte(workHint))
		}
	}
}

// workHint tells an heir that there is something for it.
const workHint = "w"

// jitter waits a while that grows with attempt and differs between processes: it keeps those who propose at the same
// time apart.
func (c *Client) jitter(ctx context.Context, attempt int) error {
	most := min(10*time.Millisecond<<min(attempt, 10), time.Second)
	if !c.pause(ctx, time.Millisecond+rand.N(most)) {
		return context.Cause(ctx)
	}
	return nil
}
