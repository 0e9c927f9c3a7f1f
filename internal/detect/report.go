package detect

import "time"

// Report is what one Check found, in an order that depends on nothing but what was found.
type Report struct {
	Findings []Finding
}

// Finding is one of Warned, Recovered, Dead, Gone and Superseded.
type Finding interface{ finding() }

type (
	// Warned: warning K of Of stands. Each monitor reports it once as long as it stands; Mine where this monitor wrote it.
	Warned struct {
		ID          string
		Incarnation int64
		K, Of       int
		Silent      time.Duration // as this monitor counts
		Mine        bool
	}
	// Recovered: a new beat voided the warnings, of which this monitor saw Warnings.
	Recovered struct {
		ID          string
		Incarnation int64
		Warnings    int
	}
	// Dead: an incarnation was decided dead when this monitor proposed it, after all warnings; by this monitor where Mine.
	// Else another was first, perhaps for another reason: Gone will tell. It is reported once.
	Dead struct {
		ID          string
		Incarnation int64
		Silent      time.Duration
		Mine        bool
	}
	// Gone: an incarnation is over and not everything was done about it. It is reported at every Check until it is
	// handled, also after Dead, so that the caller finishes what it or another began.
	Gone struct {
		ID          string
		Incarnation int64
		Reason      string // from Watch.Dead
	}
	// Superseded: an incarnation is not decided to be over, and a later one has joined. It is reported at every Check
	// until the caller has decided it.
	Superseded struct {
		ID          string
		Incarnation int64
	}
)

func (Warned) finding()     {}
func (Recovered) finding()  {}
func (Dead) finding()       {}
func (Gone) finding()       {}
func (Superseded) finding() {}

// Health is what a monitor believes of a member.
type Health uint8

// The degrees of health.
const (
	Unknown Health = iota // not looked at yet
	Healthy               // silent for less than Stale
	Stale                 // silent for longer: being warned
	Over                  // decided dead, left, or superseded
)

func (h Health) String() string {
	return [...]string{"unknown", "healthy", "stale", "dead"}[min(h, Over)]
}

// Member is an incarnation that a monitor knows.
type Member struct {
	ID          string
	Incarnation int64
	Health      Health
	Silent      time.Duration // as this monitor counts
	Warnings    int           // that stand, as far as this monitor has seen
}

// Members returns whom the last Check knew, in the order of ids and incarnations. Those who were handled are forgotten.
func (w *Watch) Members() []Member {
	all := make([]Member, len(w.members))
	for i, m := range w.members {
		all[i] = Member{m.id, m.incarnation, w.health(m), m.silence.length(), m.warned}
	}
	return all
}

func (w *Watch) health(m *member) Health {
	switch {
	case m.over():
		return Over
	case !m.silence.begun():
		return Unknown
	case m.silence.length() >= w.Policy.Stale:
		return Stale
	}
	return Healthy
}
