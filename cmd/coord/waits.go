package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
)

type waitsCmd struct {
	auditFlags
}

// Help is shown by --help.
func (*waitsCmd) Help() string {
	return "From signals that nobody has acknowledged, and from what coordinators say in their heartbeats that they are " +
		"blocked on: a wait shows up with the next beat, and of many only the first few. Those who are blocked on one " +
		"another are pointed out as stuck: none of them will go on unless somebody else helps. Whether a sender blocks for an " +
		"acknowledgement is not known, nor whether a round that waits for several has enough with some of them, so those " +
		"who wait in a circle only if that is so are perhaps stuck."
}

// Run lists, the longest wait first.
func (c *waitsCmd) Run(a *app) error {
	return a.audit(c.Timeout, func(u *audit) error {
		rows, err := u.waits()
		if err != nil {
			return err
		}
		heading := []string{"WHO", "WAITS FOR", "WHAT", "SINCE", "HOW"}
		if err := table(a, heading, rows, func(r waitRow) []string { return r.cells(u.now) }); err != nil {
			return err
		}
		for _, s := range allStuck(rows) {
			if err := a.say(s.text(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

// allStuck are those who are blocked on one another, and then those who are perhaps.
func allStuck(rows []waitRow) (all []stuck) {
	blocked := slices.DeleteFunc(slices.Clone(rows), waitRow.doubtful)
	sure := circles(blocked)
	for _, ids := range sure {
		all = append(all, stuck{"stuck", ids})
	}
	ids := slices.Concat(sure...)
	others := slices.DeleteFunc(slices.Clone(rows), func(r waitRow) bool { return slices.Contains(ids, r.Who) })
	for _, ids := range circles(others) {
		all = append(all, stuck{"perhaps-stuck", ids})
	}
	return all
}

// waitRow is a line of waits.
type waitRow struct {
	Event string    `json:"event"`
	Who   string    `json:"who"`
	For   []string  `json:"for,omitempty"` // none: anybody
	Types []string  `json:"types,omitempty"`
	Round string    `json:"round,omitempty"`
	How   string    `json:"how"` // one of the constants
	ID    string    `json:"signalId,omitempty"`
	Since time.Time `json:"since"` // by the clock of who waits
}

// doubtful: it may not block, or go on when some of the others have answered.
func (r waitRow) doubtful() bool { return r.How == forAck || r.How == forAnswers && len(r.For) > 1 }

// stuck are those who wait for one another, each for the next, and the last for the first. Perhaps: if they block for
// their acknowledgements, and their rounds need everybody.
type stuck struct {
	Event string   `json:"event"`
	IDs   []string `json:"ids"`
}

func (s stuck) text() string {
	circle := strings.Join(append(slices.Clone(s.IDs), s.IDs[0]), " waits for ")
	if s.Event == "stuck" {
		return "stuck: " + circle
	}
	return "perhaps stuck: " + circle + ": only if whoever waits for an acknowledgement blocks for it, " +
		"and whoever waits for several answers needs them all"
}

// How somebody waits.
const (
	forAck     = "ack"     // a signal stands in the mailbox of another; who has posted it does not block, who sends it does
	forSignal  = "signal"  // from any of the others
	forAnswers = "answers" // to a round, from each of the others
)

func (r waitRow) cells(now time.Time) []string {
	what := strings.Join(r.Types, ",")
	if r.Round != "" {
		what = "round " + r.Round
	}
	return []string{
		r.Who, cmp.Or(strings.Join(r.For, ","), "anybody"), cmp.Or(what, "any signal"), age(now, r.Since), r.How,
	}
}

// waits are all of them, those who have waited longest first.
func (u *audit) waits() (rows []waitRow, err error) {
	mails, err := u.mails()
	if err != nil {
		return nil, err
	}
	for _, m := range mails {
		if s := m.signal; s != nil && m.state() == "waiting" {
			rows = append(rows, waitRow{
				Event: "wait", Who: s.Sender, For: []string{s.Receiver}, Types: []string{s.Type}, Round: s.Round, How: forAck,
				ID: s.ID, Since: s.Time,
			})
		}
	}
	rows = onlyFirst(rows)
	beats, err := u.heartbeats()
	for _, h := range beats {
		if h.err == nil {
			rows = append(withoutQuestions(rows, h), waitsOf(h)...)
		}
	}
	slices.SortStableFunc(rows, func(x, y waitRow) int {
		return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.Who, y.Who))
	})
	return rows, err
}

// onlyFirst leaves out what was posted again.
func onlyFirst(rows []waitRow) []waitRow {
	seen := map[[3]string]bool{}
	return slices.DeleteFunc(rows, func(r waitRow) bool {
		key := [3]string{r.Who, r.For[0], r.ID}
		again := seen[key]
		seen[key] = true
		return again
	})
}

// withoutQuestions leaves out what h tells of in one line: the questions of a round.
func withoutQuestions(rows []waitRow, h heartbeat) []waitRow {
	return slices.DeleteFunc(rows, func(r waitRow) bool {
		return r.Round != "" && r.Who == h.id && slices.ContainsFunc(h.Waits, func(w envelope.Blocked) bool {
			return w.Round == r.Round && slices.Contains(w.On, r.For[0])
		})
	})
}

// waitsOf is what a heartbeat tells of.
func waitsOf(h heartbeat) (rows []waitRow) {
	for _, w := range h.Waits {
		r := waitRow{Event: "wait", Who: h.id, For: w.On, Types: w.Types, Round: w.Round, How: forSignal, Since: w.Since}
		if w.Round != "" {
			r.How = forAnswers
		}
		rows = append(rows, r)
	}
	return rows
}

// circles are the shortest lists of those who wait for one another, one for each set of them. Who waits for a signal of
// any of several is not stuck by one.
func circles(rows []waitRow) (all [][]string) {
	graph := map[string][]string{}
	for _, r := range rows {
		if r.How != forSignal || len(r.For) == 1 {
			graph[r.Who] = append(graph[r.Who], r.For...)
		}
	}
	var ids []string
	for id := range graph {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	found := map[string]bool{}
	for _, id := range ids {
		circle := shortest(graph, id)
		if slices.ContainsFunc(circle, func(id string) bool { return found[id] }) {
			continue
		}
		for _, id := range circle {
			found[id] = true
		}
		if circle != nil {
			all = append(all, circle)
		}
	}
	return all
}

// shortest is the shortest way from id back to it, without its end; nil where there is none.
func shortest(graph map[string][]string, id string) []string {
	ways, seen := [][]string{{id}}, map[string]bool{}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		for _, next := range graph[way[len(way)-1]] {
			if next == id {
				return way
			}
			if !seen[next] {
				seen[next] = true
				ways = append(ways, append(slices.Clone(way), next))
			}
		}
	}
	return nil
}
