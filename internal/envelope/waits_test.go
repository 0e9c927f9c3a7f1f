package envelope

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawWaits(t *rapid.T) (waits []Blocked) {
	id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`)
	for range rapid.IntRange(0, mostWaits).Draw(t, "waits") {
		w := Blocked{Since: time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "since")).UTC()}
		w.On = rapid.SliceOfN(id, 0, mostNames).Draw(t, "on")
		w.Types = rapid.SliceOfN(rapid.String(), 0, mostNames).Draw(t, "types")
		w.Round = rapid.OneOf(rapid.Just(""), id).Draw(t, "round")
		waits = append(waits, w)
	}
	return waits
}

// What a heartbeat waits for is written as encoding/json does, and read as it was.
func TestWaitsInHeartbeats(t *testing.T) {
	r := newTestRing(t, "blocking")
	rapid.Check(t, func(t *rapid.T) {
		h := &Heartbeat{ID: "a", Incarnation: 1, Session: "s", Seq: 7, Time: testTime, Status: "alive", Waits: drawWaits(t)}
		w := heartbeatWire{V: 1, CoordinatorID: "a", Incarnation: 1, Session: "s", Seq: 7, Timestamp: testTime.UnixMilli(), Status: "alive"}
		for _, b := range h.Waits {
			w.Waits = append(w.Waits, blockedWire{b.Since.UnixMilli(), b.On, b.Types, b.Round})
		}
		data, err := AppendHeartbeat(nil, r, h)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(marshalRapid(t, w), "}"); !strings.HasPrefix(string(data), want+`,"kid"`) {
			t.Fatalf("a heartbeat is written\n%s, want\n%s", data, want)
		}
		got, err := OpenHeartbeat(r, "a", data)
		if err != nil || len(got.Waits) != len(h.Waits) || string(marshalRapid(t, got)) != string(marshalRapid(t, normal(h))) {
			t.Fatalf("read as %+v, %v; want %+v", got, err, h)
		}
	})
}

// normal has no empty lists, which are not written.
func normal(h *Heartbeat) *Heartbeat {
	n := *h
	n.Waits = nil
	for _, w := range h.Waits {
		if len(w.On) == 0 {
			w.On = nil
		}
		if len(w.Types) == 0 {
			w.Types = nil
		}
		n.Waits = append(n.Waits, w)
	}
	return &n
}

// A program that knows nothing of waits reads such a heartbeat as any other.
func TestWaitsAreIgnoredByThoseWhoDoNotKnow(t *testing.T) {
	r := newTestRing(t, "blocking")
	data, _ := AppendHeartbeat(nil, r, &Heartbeat{
		ID: "a", Seq: 7, Time: testTime, Status: "alive", Waits: []Blocked{{On: []string{"b"}, Since: testTime}},
	})
	var old struct {
		Seq    uint64
		Status string
	}
	if err := json.Unmarshal(data, &old); err != nil || old.Seq != 7 || old.Status != "alive" {
		t.Errorf("%+v, %v", old, err)
	}
	if err := r.verify(KindHeartbeat, data, []string{"a"}); err != nil {
		t.Error(err)
	}
}

// However much somebody waits for, his heartbeat is short.
func TestHeartbeatsAreBounded(t *testing.T) {
	r := newTestRing(t, "blocking")
	many := make([]string, 1000)
	for i := range many {
		many[i] = strings.Repeat("x", 128)
	}
	waits := make([]Blocked, 1000)
	for i := range waits {
		waits[i] = Blocked{On: many, Types: many, Round: many[0], Since: testTime}
	}
	data, err := AppendHeartbeat(nil, r, &Heartbeat{ID: "a", Time: testTime, Status: "alive", Waits: waits})
	if err != nil || len(data) > 10<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	h, err := OpenHeartbeat(r, "a", data)
	if err != nil || len(h.Waits) != mostWaits || !reflect.DeepEqual(h.Waits[0].On, many[:mostNames]) {
		t.Errorf("%+v, %v", h, err)
	}
}

// Who waits for nothing pays nothing.
func TestHeartbeatAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, buf := newTestRing(t, "blocking"), make([]byte, 0, 4096)
	h := &Heartbeat{ID: "a", Incarnation: 1, Session: "s", Seq: 7, Time: testTime, Status: "alive"}
	if got := testing.AllocsPerRun(200, func() { _, _ = AppendHeartbeat(buf, r, h) }); got > 0 {
		t.Errorf("a heartbeat allocates %v times", got)
	}
}
