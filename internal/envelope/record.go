package envelope

import "time"

// placeMembers is the place of every entry of the registry.
const placeMembers = "members"

// Heartbeat says that a coordinator lives.
type Heartbeat struct {
	ID          string // the coordinator's
	Incarnation int64
	Session     string
	Seq         uint64    // rises with every beat of a session
	Time        time.Time // when; for people to read: no verdict depends on it
	Status      string    // such as alive
	Waits       []Blocked // what it is blocked on; for people to read
}

// Blocked is something that a coordinator waits for.
type Blocked struct {
	On    []string  // for whom; none: for anybody
	Types []string  // for signals of these types; none: of any
	Round string    // for the answers to this round, of all of On
	Since time.Time // in whole milliseconds, UTC, once it was sealed
}

// The most that a heartbeat tells of: what is more is left out.
const (
	mostWaits = 4
	mostNames = 8 // in each list of one of them
)

// AppendHeartbeat appends h to dst as a sealed record. It keeps nothing of h. A field that breaks the rules is
// ErrMalformed; dst is then returned as it was.
func AppendHeartbeat(dst []byte, r *Ring, h *Heartbeat) ([]byte, error) {
	if err := checkHolder(h.ID, h.Session, h.Status); err != nil {
		return dst, err
	}
	for _, w := range h.Waits {
		if err := checkTexts(append(append([]string{w.Round}, w.On...), w.Types...)...); err != nil {
			return dst, err
		}
	}
	start := len(dst)
	dst = append(dst, versionMember...)
	dst = appendText(dst, `,"coordinatorId":`, h.ID)
	dst = appendInt(dst, `,"incarnation":`, h.Incarnation)
	dst = appendText(dst, `,"session":`, h.Session)
	dst = appendUint(dst, `,"seq":`, h.Seq)
	dst = appendTime(dst, h.Time)
	dst = appendText(dst, `,"status":`, h.Status)
	dst = appendWaits(dst, h.Waits)
	return r.finish(dst, start, KindHeartbeat, []string{h.ID}), nil
}

// appendWaits appends what there is to wait for; nothing for those who do not wait, which are most.
func appendWaits(dst []byte, waits []Blocked) []byte {
	if len(waits) == 0 {
		return dst
	}
	dst = append(dst, `,"waits":[`...)
	for i, w := range waits[:min(len(waits), mostWaits)] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInt(dst, `{"since":`, w.Since.UnixMilli())
		dst = appendNames(dst, `,"on":[`, w.On)
		dst = appendNames(dst, `,"types":[`, w.Types)
		dst = append(appendOptional(dst, `,"round":`, w.Round), '}')
	}
	return append(dst, ']')
}

// appendNames appends a list of ids, or nothing.
func appendNames(dst []byte, name string, ids []string) []byte {
	for i, id := range ids[:min(len(ids), mostNames)] {
		if i == 0 {
			dst = append(dst, name...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, id)
	}
	if len(ids) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// OpenHeartbeat verifies data as the heartbeat of id, decodes and checks it. The errors are Refusals.
func OpenHeartbeat(r *Ring, id string, data []byte) (*Heartbeat, error) {
	if err := r.verify(KindHeartbeat, data, []string{id}); err != nil {
		return nil, err
	}
	w, err := decode(data, fastHeartbeat)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(w.V, w.CoordinatorID, id); err != nil {
		return nil, err
	}
	h := &Heartbeat{
		ID: w.CoordinatorID, Incarnation: w.Incarnation, Session: w.Session, Seq: w.Seq,
		Time: time.UnixMilli(w.Timestamp).UTC(), Status: w.Status,
	}
	for _, b := range w.Waits {
		h.Waits = append(h.Waits, Blocked{b.On, b.Types, b.Round, time.UnixMilli(b.Since).UTC()})
	}
	return h, nil
}

// Member is an entry of the registry.
type Member struct {
	ID          string // the coordinator's
	Incarnation int64
	Session     string
}

// AppendMember appends m to dst as a sealed record. A field that breaks the rules is ErrMalformed; dst is then returned
// as it was.
func AppendMember(dst []byte, r *Ring, m *Member) ([]byte, error) {
	if err := checkHolder(m.ID, m.Session); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, versionMember...)
	dst = appendText(dst, `,"coordinatorId":`, m.ID)
	dst = appendInt(dst, `,"incarnation":`, m.Incarnation)
	dst = appendText(dst, `,"session":`, m.Session)
	return r.finish(dst, start, KindMember, []string{placeMembers}), nil
}

// OpenMember verifies data as an entry of the registry, decodes and checks it. The errors are Refusals.
func OpenMember(r *Ring, data []byte) (*Member, error) {
	w, err := OpenJSON[memberWire](r, KindMember, data, placeMembers)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(w.V, w.CoordinatorID, w.CoordinatorID); err != nil {
		return nil, err
	}
	return &Member{ID: w.CoordinatorID, Incarnation: w.Incarnation, Session: w.Session}, nil
}

// Cursor says how far a receiver has consumed its mailbox.
type Cursor struct {
	Receiver   string
	Ticket     int64  // the lowest that is not yet consumed
	Generation string // of the store's data; optional
}

// AppendCursor appends c to dst as a sealed record. A field that breaks the rules is ErrMalformed; dst is then returned
// as it was.
func AppendCursor(dst []byte, r *Ring, c *Cursor) ([]byte, error) {
	if err := checkHolder(c.Receiver, c.Generation); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, versionMember...)
	dst = appendText(dst, `,"receiverId":`, c.Receiver)
	dst = appendInt(dst, `,"ticket":`, c.Ticket)
	dst = appendOptional(dst, `,"generation":`, c.Generation)
	return r.finish(dst, start, KindCursor, []string{c.Receiver}), nil
}

// OpenCursor verifies data as the cursor of receiver, decodes and checks it. The errors are Refusals.
func OpenCursor(r *Ring, receiver string, data []byte) (*Cursor, error) {
	w, err := OpenJSON[cursorWire](r, KindCursor, data, receiver)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(w.V, w.ReceiverID, receiver); err != nil {
		return nil, err
	}
	return &Cursor{Receiver: w.ReceiverID, Ticket: w.Ticket, Generation: w.Generation}, nil
}

// checkHolder is the writer's check: a legal id, and texts that JSON does not alter.
func checkHolder(id string, texts ...string) error {
	if err := checkIDs([2]string{"id", id}); err != nil {
		return err
	}
	return checkTexts(texts...)
}

// checkOwner is the reader's check of a verified record: the version, and the owner under whose key it stands.
func checkOwner(v int64, got, want string) error {
	if err := checkVersion(v); err != nil {
		return err
	}
	if got != want {
		return refuse(Misrouted, "it names another owner")
	}
	return checkIDs([2]string{"id", got})
}
