package coord_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
)

// annals keep what happened in years, and judge it while it happens.
type annals struct {
	*testing.T
	sky   *sky
	desk  *work.Desk // reads what was decided, past all faults
	began time.Time
	stop  context.CancelFunc // of the years, at the first violation

	mu       sync.Mutex
	lines    []line // the last ones
	wrong    int
	signals  map[string]*sending // by payload
	settled  []string            // payloads that are acknowledged and not judged yet
	answers  map[string]int      // by question and incarnation
	lives    map[work.Owner]*incarnated
	units    map[string]*unit
	troubles []trouble
	monitors []string
	sums     struct {
		attempted, acknowledged, reported, orphaned, deaths, units, rounds int

		seen map[string]int
	}
}

// line is something that is worth telling when something is wrong.
type line struct {
	at      time.Duration
	subject string // a process, a coordinator or a signal
	what    any
}

const remembered = 20_000 // lines

func (n *annals) note(subject string, what any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noteLocked(subject, what)
}

func (n *annals) noteLocked(subject string, what any) {
	if len(n.lines) == 2*remembered {
		n.lines = append(n.lines[:0], n.lines[remembered:]...)
	}
	n.lines = append(n.lines, line{time.Since(n.began), subject, what})
}

// violated says so, with what was lately known of the subjects. It is called with the lock held.
func (n *annals) violated(subjects []string, format string, args ...any) {
	if n.wrong++; n.wrong > 3 {
		return
	}
	n.Errorf("after %v: %s\n%s", time.Since(n.began), fmt.Sprintf(format, args...), n.transcript(subjects))
	n.stop()
}

func (n *annals) transcript(subjects []string) string {
	var told []string
	for _, l := range slices.Backward(n.lines) {
		text := fmt.Sprintf("%12v  %-12s %T %+[3]v", l.at.Truncate(time.Millisecond), l.subject, l.what)
		if l.subject == "store" || slices.ContainsFunc(subjects, func(s string) bool { return mentions(text, s) }) {
			told = append(told, text)
		}
		if len(told) == 60 {
			break
		}
	}
	slices.Reverse(told)
	return strings.Join(told, "\n")
}

// mentions: s is in text, and not only as the beginning of a longer name.
func mentions(text, s string) bool {
	for _, after := range strings.Split(text, s)[1:] {
		if after == "" || !strings.Contains("0123456789", after[:1]) {
			return true
		}
	}
	return false
}

// sending is one Send.
type sending struct {
	from, to     string
	began, ended time.Time
	acknowledged bool
	later        int64   // the incarnation that was told to come again
	by           []int64 // incarnations that it was handed over to
}

// handed: S2, at most once to one incarnation, and to no later one once its ACK stood.
func (n *annals) handed(a *coord.Coordinator, payload string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.signals[payload]
	if s == nil {
		n.violated([]string{a.ID()}, "%s got %q, which nobody has sent in the last day", a.ID(), payload)
		return
	}
	n.noteLocked(a.ID(), fmt.Sprintf("incarnation %d gets %s", a.Incarnation(), payload))
	about := []string{s.from, s.to, payload}
	switch {
	case slices.Contains(s.by, a.Incarnation()):
		n.violated(about, "S2: %s was handed to incarnation %d of %s twice", payload, a.Incarnation(), a.ID())
	case s.acknowledged && time.Since(s.ended) > time.Minute:
		n.violated(about, "S2: %s was handed over again %v after its ACK was seen", payload, time.Since(s.ended))
	}
	s.by = append(s.by, a.Incarnation())
}

// postpone reports whether this hand-over, the first to this incarnation, is one that asks to come again later.
func (n *annals) postpone(a *coord.Coordinator, payload string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.signals[payload]
	if s == nil || s.later == a.Incarnation() || !strings.HasSuffix(payload, "7") {
		return false
	}
	s.later = a.Incarnation()
	return true
}

func (n *annals) sends(payload, from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sums.attempted++
	n.signals[payload] = &sending{from: from, to: to, began: time.Now()}
}

// slack is what an end may be late by: the last look of a wait, with a driver that hangs.
const slack = 30 * time.Second

// sent judges the end of a Send. crashed: its process did so meanwhile, so nobody learned of it.
func (n *annals) sent(payload string, within time.Duration, crashed bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.signals[payload]
	s.ended, s.acknowledged = time.Now(), err == nil || errors.Is(err, coord.ErrRejected)
	about := []string{s.from, s.to, payload}
	n.noteLocked(s.from, fmt.Sprintf("sent %s to %s: %v", payload, s.to, err))
	if took := s.ended.Sub(s.began); took > within+slack {
		n.violated(about, "W1: Send of %s within %v took %v", payload, within, took)
	}
	switch {
	case s.acknowledged:
		n.sums.acknowledged++
		n.settled = append(n.settled, payload)
	case crashed:
		n.sums.orphaned++
	case errors.Is(err, coord.ErrNoAck), errors.Is(err, coord.ErrFenced), errors.Is(err, coord.ErrClosed):
		n.sums.reported++
	default:
		n.violated(about, "%s: an error that Send does not document: %v", payload, err)
	}
}

// confirmed: S1, S4, what was acknowledged before this moment was handed over.
func (n *annals) confirmed() {
	for _, payload := range n.settled {
		if s := n.signals[payload]; len(s.by) == 0 {
			n.violated([]string{s.from, s.to, payload}, "S1: %s is acknowledged, and was not handed over", payload)
		}
	}
	n.settled = n.settled[:0]
}

// asked: a question is handed over at most once to one incarnation.
func (n *annals) asked(a *coord.Coordinator, s *coord.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	who := fmt.Sprint(s.ID, " ", a.ID(), "/", a.Incarnation())
	if n.answers[who]++; n.answers[who] > 1 {
		n.violated([]string{a.ID(), s.From}, "rounds: question %s was asked twice", who)
	}
}

// waited: W2, with a store that may hang.
func (n *annals) waited(id string, within, took time.Duration, err error) {
	if err != nil && !errors.Is(err, coord.ErrTimeout) {
		return // fenced, closed
	}
	if took > within+slack || err != nil && took < within {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.violated([]string{id}, "W2: a wait of %s for %v ended after %v: %v", id, within, took, err)
	}
}

// unit is a unit of work.
type unit struct {
	accepted time.Time
	results  []string // of the Dones that succeeded
}

func (n *annals) accepted(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.units[id] == nil {
		n.units[id] = &unit{accepted: time.Now()}
		n.sums.units++
	}
}

func (n *annals) done(id, result string) {
	n.accepted(id) // whoever did
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.units[id]
	if u.results = append(u.results, result); len(u.results) > 1 {
		n.violated([]string{id}, "X2: unit %s is done twice: %v", id, u.results)
	}
}

// unfinished reports whether somebody has something to do.
func (n *annals) unfinished() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, u := range n.units {
		if _, err := n.result(id); err != nil && len(u.results) == 0 {
			return true
		}
	}
	return false
}

// settleUnits: X3, what was accepted is done, once, with the result that was said. Nothing disturbs any more.
func (n *annals) settleUnits() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, u := range n.units {
		result, err := n.result(id)
		if err != nil || len(u.results) > 0 && u.results[0] != result {
			n.violated([]string{id}, "X3: unit %s, accepted %v ago: done with %q, but the store says %q, %v",
				id, time.Since(u.accepted), u.results, result, err)
		}
		delete(n.units, id)
	}
}

func (n *annals) result(id string) (string, error) {
	for e := int64(0); ; e++ {
		d, ended, err := n.desk.Ended(context.Background(), id, e)
		switch {
		case err != nil:
			return "", err
		case !ended:
			return "", fmt.Errorf("epoch %d is open", e)
		case d.Done != nil:
			return string(d.Done.Value), nil
		}
	}
}

// forget what is too old to come up again.
func (n *annals) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for payload, s := range n.signals {
		if !s.ended.IsZero() && time.Since(s.began) > 25*time.Hour {
			delete(n.signals, payload)
		}
	}
}

// observed counts what there was.
func (n *annals) observed(e coord.Event) {
	what := fmt.Sprintf("%T", e)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sums.seen[what]++
}

func newAnnals(t *testing.T, stop context.CancelFunc, s *sky) *annals {
	ring := must(envelope.NewRing(coord.DefaultNamespace, coord.Key{Secret: secret}))
	n := &annals{
		T: t, sky: s, began: time.Now(), stop: stop, signals: map[string]*sending{}, answers: map[string]int{},
		lives: map[work.Owner]*incarnated{}, units: map[string]*unit{},
		desk: &work.Desk{Store: s.Store, Space: keys.In(coord.DefaultNamespace), Ring: ring, Times: work.DefaultTimes, Now: time.Now},
	}
	n.sums.seen = map[string]int{}
	return n
}

// disowned: nothing that the store had confirmed was lost, so nobody may believe so.
func (n *annals) disowned(e coord.StoreRegressed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.violated([]string{"store"}, "a loss of the store was noticed that never was: %v", e.Err)
}
