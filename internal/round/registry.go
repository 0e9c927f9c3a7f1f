package round

import (
	"context"
	"errors"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/internal/work"
)

// registry is what a round has read of the list of those who ever joined. It is read only when somebody's death hides
// behind a number that nobody uses: the first time whole, and after that what is new.
type registry struct {
	reader ticketlog.Reader
	placed bool
	newest map[string]int64 // the highest incarnation of each id
}

// last returns the last incarnation of id that has registered; 0 where there is none, or that is not known yet.
func (g *registry) last(ctx context.Context, desk *work.Desk, id string) (int64, error) {
	if err := g.place(ctx, desk); err != nil {
		return 0, err
	}
	entries, err := g.reader.Read(ctx)
	for _, e := range entries {
		if m, bad := envelope.OpenMember(desk.Ring, e.Value); bad == nil {
			g.newest[m.ID] = max(g.newest[m.ID], m.Incarnation)
		}
	}
	if errors.Is(err, ticketlog.ErrRegressed) {
		g.placed = false // the numbers begin again
	}
	if err != nil || g.reader.Lowest() == 1 { // a long list is not read at once
		return 0, err
	}
	return g.newest[id], nil
}

func (g *registry) place(ctx context.Context, desk *work.Desk) error {
	if g.placed {
		return nil
	}
	times := ticketlog.DefaultTimes
	times.Entry = 30 * 24 * time.Hour
	g.reader.Log = ticketlog.Log{Store: desk.Store, Keys: desk.Space.Members(), Times: times, Now: desk.Now}
	if err := g.reader.Recover(ctx); err != nil {
		return err
	}
	g.placed, g.newest = true, map[string]int64{}
	return nil
}
