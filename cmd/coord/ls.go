package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/work"
)

type lsCmd struct {
	auditFlags
	What string `arg:"" optional:"" default:"coordinators" enum:"coordinators,signals" help:"coordinators or signals."`
	All  bool   `help:"Coordinators: also those that have no heartbeat: silent, dead, or left and not yet forgotten."`
}

// Run lists.
func (c *lsCmd) Run(a *app) error {
	return a.audit(c.Timeout, func(u *audit) error {
		if c.What == "signals" {
			return c.signals(u)
		}
		return c.coordinators(u)
	})
}

// coordinatorRow is a line of ls coordinators.
type coordinatorRow struct {
	ID          string `json:"id"`
	Incarnation int64  `json:"incarnation"`
	Status      string `json:"status"`
	AgeMs       int64  `json:"lastBeatAgeMs,omitempty"` // by the clocks of two machines
	Signature   string `json:"signature"`

	age time.Duration
}

func (c *lsCmd) coordinators(u *audit) error {
	rows, err := u.beating()
	if err == nil && c.All {
		rows, err = u.withRegistered(rows)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(x, y coordinatorRow) int { return cmp.Compare(x.ID, y.ID) })
	return table(u.app, []string{"ID", "INCARNATION", "LAST BEAT", "STATUS", "SIGNATURE"}, rows, coordinatorRow.cells)
}

func (r coordinatorRow) cells() []string {
	beat := "-"
	if r.Signature == "ok" && r.age != 0 {
		beat = brief(r.age) + " ago"
	}
	return []string{r.ID, strconv.FormatInt(r.Incarnation, 10), beat, r.Status, r.Signature}
}

// beating lists who has a heartbeat in the store.
func (u *audit) beating() ([]coordinatorRow, error) {
	beats, err := u.heartbeats()
	var rows []coordinatorRow
	for _, b := range beats {
		rows = append(rows, u.beat(b))
	}
	return rows, err
}

// heartbeat is one that stands.
type heartbeat struct {
	id string
	*envelope.Heartbeat
	err error // why it is refused
}

func (u *audit) heartbeats() (all []heartbeat, err error) {
	records, err := u.keys(u.space.HeartbeatPrefix())
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r record) bool { return r.Kind != kindHeartbeat })
	values, err := u.read(namesOf(records))
	for i, value := range values {
		if id := records[i].Owner; value != nil {
			h, bad := envelope.OpenHeartbeat(u.ring, id, value)
			all = append(all, heartbeat{id, h, bad})
		}
	}
	return all, err
}

func (u *audit) beat(h heartbeat) coordinatorRow {
	if h.err != nil {
		return coordinatorRow{ID: h.id, Status: "unknown", Signature: verdict(h.err)}
	}
	age := u.now.Sub(h.Time)
	return coordinatorRow{
		ID: h.id, Incarnation: h.Incarnation, Status: h.Status, AgeMs: age.Milliseconds(), Signature: "ok", age: age,
	}
}

// The statuses of those who are registered, but have no heartbeat.
const (
	statusSilent = "silent" // it died, or its beats do not arrive
	statusDead   = "dead"   // so it was decided
	statusLeft   = "left"
)

func (u *audit) withRegistered(rows []coordinatorRow) ([]coordinatorRow, error) {
	records, err := u.keys(u.space.Members().EntryPrefix())
	if err != nil {
		return nil, err
	}
	values, err := u.read(namesOf(records))
	latest := map[string]int64{}
	for _, value := range values {
		if m, bad := envelope.OpenMember(u.ring, value); bad == nil {
			latest[m.ID] = max(latest[m.ID], m.Incarnation)
		}
	}
	for _, r := range rows {
		delete(latest, r.ID)
	}
	for id, incarnation := range latest {
		status := u.statusOf(work.Owner{ID: id, Incarnation: incarnation})
		rows = append(rows, coordinatorRow{ID: id, Incarnation: incarnation, Status: status, Signature: "ok"})
	}
	return rows, err
}

// statusOf is that of one without a heartbeat.
func (u *audit) statusOf(o work.Owner) string {
	switch death, ended, err := u.desk().Dead(u.ctx, o); {
	case err != nil || !ended:
		return statusSilent
	case death.Reason == work.Left:
		return statusLeft
	}
	return statusDead
}

// signalRow is a line of ls signals.
type signalRow struct {
	Key       string `json:"key"`
	To        string `json:"to"`
	From      string `json:"from,omitempty"`
	Type      string `json:"type,omitempty"`
	ID        string `json:"id,omitempty"`
	AgeMs     int64  `json:"ageMs,omitempty"`
	State     string `json:"state"` // waiting, acknowledged, refused or legacy
	Signature string `json:"signature"`

	age time.Duration
}

func (r signalRow) cells() []string {
	age := "-"
	if r.age != 0 {
		age = brief(r.age)
	}
	return []string{cmp.Or(r.From, "-"), r.To, cmp.Or(r.Type, "-"), age, r.State, r.Signature, r.Key}
}

func (c *lsCmd) signals(u *audit) error {
	rows, err := u.posted()
	if err != nil {
		return err
	}
	legacy, err := u.legacy()
	if err != nil {
		return err
	}
	return table(u.app, []string{"FROM", "TO", "TYPE", "AGE", "STATE", "SIGNATURE", "KEY"}, append(rows, legacy...),
		signalRow.cells)
}

// mail is an entry of a mailbox.
type mail struct {
	record
	signal *envelope.Signal // nil where it is refused
	acked  bool
	err    error // why it is refused
}

// mails reads every mailbox, in the order of tickets.
func (u *audit) mails() ([]mail, error) {
	records, err := u.keys(u.space.MailboxPrefix())
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r record) bool { return r.Kind != kindSignal })
	slices.SortFunc(records, func(x, y record) int {
		return cmp.Or(cmp.Compare(x.Owner, y.Owner), cmp.Compare(x.Ticket, y.Ticket))
	})
	values, err := u.read(namesOf(records))
	if err != nil {
		return nil, err
	}
	var all []mail
	for i, value := range values {
		if value != nil {
			s, bad := u.signal(records[i], value)
			all = append(all, mail{record: records[i], signal: s, err: bad})
		}
	}
	return all, u.markAcked(all)
}

func (u *audit) markAcked(all []mail) error {
	signals := make([]*envelope.Signal, len(all))
	for i, m := range all {
		signals[i] = m.signal
	}
	acked, err := u.acknowledged(signals)
	for i := range acked {
		all[i].acked = acked[i]
	}
	return err
}

func (u *audit) posted() (rows []signalRow, err error) {
	all, err := u.mails()
	for _, m := range all {
		r := signalRow{Key: m.Key, To: m.Owner, State: m.state(), Signature: verdict(m.err)}
		if s := m.signal; s != nil {
			r.From, r.Type, r.ID = s.Sender, s.Type, s.ID
			r.age = max(u.now.Sub(s.Time), 1)
			r.AgeMs = r.age.Milliseconds()
		}
		rows = append(rows, r)
	}
	return rows, err
}

func (m *mail) state() string {
	switch {
	case m.acked:
		return "acknowledged"
	case m.err != nil:
		return "refused"
	}
	return "waiting"
}

// legacy lists the slots of earlier systems, as somebody who accepts them would see them.
func (u *audit) legacy() ([]signalRow, error) {
	records, err := u.keys(u.space.Prefix() + "signal:")
	if err != nil {
		return nil, err
	}
	values, err := u.read(namesOf(records))
	var rows []signalRow
	for i, value := range values {
		if records[i].Kind != kindLegacySignal || value == nil {
			continue
		}
		r := signalRow{Key: records[i].Key, To: records[i].Owner, State: "legacy"}
		s, bad := envelope.OpenLegacy(u.ring, r.To, value, u.now, false)
		if r.Signature = verdict(bad); bad == nil {
			r.From, r.Type, r.ID, r.age = s.Sender, s.Type, s.ID, max(u.now.Sub(s.Time), 1)
			r.AgeMs = r.age.Milliseconds()
		}
		rows = append(rows, r)
	}
	return rows, err
}

// age says how long ago t was.
func age(now, t time.Time) string {
	if d := now.Sub(t); d >= 0 {
		return brief(d) + " ago"
	}
	return fmt.Sprintf("%s ahead", brief(t.Sub(now)))
}
