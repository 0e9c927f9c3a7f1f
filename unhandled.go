package coord

import (
	"context"
	"slices"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
)

// unhandled is one who is over and whose work cannot be handed over yet.
type unhandled struct {
	owner work.Owner
	due   time.Time // when it is registered next
}

const renewal = 24 * time.Hour // how often: an entry in the registry lives for counterTTL

// renew keeps o in the registry, where the living register again by themselves: a monitor that starts in a month must
// find o as well (X3). It is not due at once: who is leaving just now may yet find an heir itself, and takes its place in
// the registry away.
func (m *Monitor) renew(ctx context.Context, o work.Owner) error {
	now := m.client.Clock.Now()
	m.waiting = slices.DeleteFunc(m.waiting, func(u unhandled) bool { return now.Sub(u.due) > renewal }) // handled
	i := slices.IndexFunc(m.waiting, func(u unhandled) bool { return u.owner == o })
	if i < 0 {
		m.waiting = append(m.waiting, unhandled{o, now.Add(m.client.Policy.Stale)})
		return nil
	}
	if now.Before(m.waiting[i].due) {
		return nil
	}
	err := m.client.registerAgain(ctx, o)
	if err == nil {
		m.waiting[i].due = now.Add(renewal)
	}
	return err
}

// registerAgain is for one who cannot do so any more. That it may stand there twice does no harm: the end of one who is
// not handled is remembered for longer than any entry.
func (c *Client) registerAgain(ctx context.Context, o work.Owner) error {
	entry, err := envelope.AppendMember(nil, c.ring, &envelope.Member{ID: o.ID, Incarnation: o.Incarnation})
	if err != nil {
		return err
	}
	members := ticketlog.Log{Store: c.once, Keys: c.space.Members(), Times: c.times.Log, Now: c.Clock.Now}
	members.Times.Entry = counterTTL
	_, err = members.Append(ctx, entry, "")
	return err
}
