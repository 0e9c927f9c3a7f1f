package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
)

// desk reads what is known about units of work; it is never used to decide anything.
func (u *audit) desk() *work.Desk {
	return &work.Desk{
		Store: u.store, Space: u.space, Ring: u.ring, Times: work.DefaultTimes, Now: time.Now,
		Pause: func(ctx context.Context, _ int) error { pause(ctx, retryPause); return context.Cause(ctx) },
	}
}

// unitKeys is what the keys tell about a unit.
type unitKeys struct {
	id      string
	digests []string // of its payloads
	epochs  []int64  // those with a decision, in order
}

// units lists the units of which there are keys, in the order of their ids; of one only where only is not empty.
func (u *audit) units(only string) ([]*unitKeys, error) {
	found := map[string]*unitKeys{}
	prefix := u.space.Prefix() + "decide:{work/"
	decisions, err := u.store.Keys(u.ctx, prefix+only)
	for _, key := range decisions {
		if unit, e, ok := epochOf(u.space, key, prefix); ok {
			k := known(found, unit)
			k.epochs = append(k.epochs, e)
		}
	}
	prefix = u.space.Prefix() + "work:{"
	contents, failed := u.store.Keys(u.ctx, prefix+only)
	for _, key := range contents {
		if unit, digest, ok := contentKey(u.space, key, prefix); ok {
			k := known(found, unit)
			k.digests = append(k.digests, digest)
		}
	}
	for _, k := range found {
		slices.Sort(k.epochs)
		k.epochs = slices.Compact(k.epochs)
	}
	if only != "" {
		maps.DeleteFunc(found, func(id string, _ *unitKeys) bool { return id != only })
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *unitKeys) int { return cmp.Compare(a.id, b.id) }), errors.Join(err, failed)
}

func known(found map[string]*unitKeys, unit string) *unitKeys {
	if found[unit] == nil {
		found[unit] = &unitKeys{id: unit}
	}
	return found[unit]
}

// epochOf reads the key of an epoch's decision.
func epochOf(space keys.Space, key, prefix string) (unit string, e int64, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	number, _, _ := strings.Cut(rest, "}")
	e, err := strconv.ParseInt(number, 10, 64)
	return unit, e, err == nil && e >= 0 && keys.CheckID(unit) == nil && space.Epoch(unit, e).Decision() == key
}

// contentKey reads the key of a unit's payload.
func contentKey(space keys.Space, key, prefix string) (unit, digest string, ok bool) {
	unit, digest, _ = strings.Cut(strings.TrimPrefix(key, prefix), "}:unit:")
	return unit, digest, keys.CheckID(unit) == nil && space.Unit(unit, digest) == key
}

// unitRow is a line of work ls.
type unitRow struct {
	Unit  string `json:"unit"`
	State string `json:"state"` // waiting, owned, done or unreadable
	Epoch int64  `json:"epoch"`
	Owner string `json:"owner,omitempty"`
}

func (r unitRow) cells() []string {
	return []string{r.Unit, r.State, strconv.FormatInt(r.Epoch, 10), cmp.Or(r.Owner, "-")}
}

type workLsCmd struct{ auditFlags }

// Run lists.
func (c *workLsCmd) Run(a *app) error {
	return a.audit(c.Timeout, func(u *audit) error {
		units, err := u.units("")
		if err != nil {
			return err
		}
		var rows []unitRow
		for _, k := range units {
			r, err := u.unitRow(k)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return table(a, []string{"UNIT", "STATE", "EPOCH", "OWNER"}, rows, unitRow.cells)
	})
}

func (u *audit) unitRow(k *unitKeys) (unitRow, error) {
	if len(k.epochs) == 0 {
		return unitRow{Unit: k.id, State: "waiting"}, nil
	}
	ended := k.epochs[len(k.epochs)-1]
	d, found, err := u.desk().Ended(u.ctx, k.id, ended)
	switch {
	case u.ctx.Err() != nil:
		return unitRow{}, context.Cause(u.ctx)
	case err != nil || !found:
		return unitRow{Unit: k.id, State: "unreadable", Epoch: ended}, nil
	case d.Done != nil:
		return unitRow{k.id, "done", ended, d.Done.Owner.ID}, nil
	}
	return unitRow{k.id, "owned", ended + 1, d.To.ID}, nil
}

type workShowCmd struct {
	auditFlags
	Unit string `arg:"" help:"Its name."`
}

// Validate is called by kong.
func (c *workShowCmd) Validate() error { return checkID("unit", c.Unit) }

// Run shows one unit.
func (c *workShowCmd) Run(a *app) error {
	if err := unitNamed(c.Unit); err != nil {
		return err
	}
	return a.audit(c.Timeout, func(u *audit) error {
		units, err := u.units(c.Unit)
		if err != nil {
			return err
		}
		if len(units) == 0 {
			return fmt.Errorf("%s: there is no such unit", c.Unit)
		}
		s, err := u.unitStory(units[0])
		if err != nil {
			return err
		}
		return a.say(s.text(), s)
	})
}

// unitStory is all that is known about a unit.
type unitStory struct {
	unitRow
	payloadStory
	Others     []payloadStory `json:"others,omitempty"` // what else was added under its name
	Epochs     []epochStory   `json:"epochs,omitempty"`
	Checkpoint work.Data      `json:"checkpoint,omitempty"`
	Result     *work.Data     `json:"result,omitempty"`
	Refused    []string       `json:"refused,omitempty"` // what does not verify, or is not there
}

// payloadStory is what a unit consists of.
type payloadStory struct {
	Payload    *work.Data `json:"payload,omitempty"`
	ProgressMs int64      `json:"progressMs,omitempty"`
}

// epochStory is how an epoch ended.
type epochStory struct {
	Epoch int64       `json:"epoch"`
	To    *work.Owner `json:"to,omitempty"`
	Done  *work.Owner `json:"done,omitempty"`
}

func (u *audit) unitStory(k *unitKeys) (*unitStory, error) {
	row, err := u.unitRow(k)
	if err != nil {
		return nil, err
	}
	s := &unitStory{unitRow: row}
	digest, owned := u.tellEpochs(s, k)
	slices.Sort(k.digests)
	for _, d := range k.digests {
		u.tellPayload(s, work.Unit{ID: k.id, Digest: d}, digest == "" || d == digest)
	}
	s.Checkpoint, err = u.desk().Base(u.ctx, k.id, owned)
	s.refused("checkpoint", err)
	return s, u.ctx.Err()
}

// tellEpochs returns the digest of the payload that was decided, and the highest epoch that somebody owned. It asks for
// none but those of which there are keys: anybody who can write to the store can make one of any number.
func (u *audit) tellEpochs(s *unitStory, k *unitKeys) (digest string, owned int64) {
	for _, e := range k.epochs {
		d, found, err := u.desk().Ended(u.ctx, k.id, e)
		if s.refused(fmt.Sprintf("epoch %d", e), err); !found {
			continue
		}
		digest, owned = d.Digest, e+1
		story := epochStory{Epoch: e, To: d.To}
		if d.Done != nil {
			story.Done, s.Result = &d.Done.Owner, &d.Done.Value
		}
		s.Epochs = append(s.Epochs, story)
	}
	return digest, owned
}

// tellPayload tells one of what was added under a name: the unit's own, or another. Until somebody owns it, any may
// become its own.
func (u *audit) tellPayload(s *unitStory, unit work.Unit, own bool) {
	payload, progress, err := u.desk().Payload(u.ctx, unit)
	if s.refused("payload", err); err != nil {
		return
	}
	data := work.Data(payload)
	story := payloadStory{&data, progress.Milliseconds()}
	if own && s.Payload == nil {
		s.payloadStory = story
	} else {
		s.Others = append(s.Others, story)
	}
}

func (s *unitStory) refused(what string, err error) {
	if err != nil {
		s.Refused = append(s.Refused, what+": "+oneLine(err.Error()))
	}
}

func (s *unitStory) text() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name, value) }
	line("unit", s.Unit)
	line("state", s.State)
	if s.Payload != nil {
		s.payloadStory.tell("payload", line)
	}
	for _, p := range s.Others {
		p.tell("another", line)
	}
	for _, e := range s.Epochs {
		line(fmt.Sprintf("epoch %d", e.Epoch), e.text())
	}
	if len(s.Checkpoint) > 0 {
		line("checkpoint", fmt.Sprintf("%q", []byte(s.Checkpoint)))
	}
	if s.Result != nil {
		line("result", fmt.Sprintf("%q", []byte(*s.Result)))
	}
	for _, r := range s.Refused {
		line("refused", r)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (p payloadStory) tell(name string, line func(name, value string)) {
	line(name, fmt.Sprintf("%q", []byte(*p.Payload)))
	if p.ProgressMs > 0 {
		line("progress", human(time.Duration(p.ProgressMs)*time.Millisecond))
	}
}

func (e epochStory) text() string {
	if e.Done != nil {
		return "done by " + e.Done.String()
	}
	return "given to " + e.To.String()
}
