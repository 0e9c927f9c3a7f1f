package envelope

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"
)

// vectors were computed by a program in another language, so a mistake here cannot hide in them.
type vectors struct {
	Sealed []vector
	Legacy []struct {
		Secret, SenderID, ReceiverID, Type, Slot string
		Timestamp                                int64
	}
}

type vector struct {
	Name      string   `json:"name"`
	Secret    string   `json:"secret"`
	Namespace string   `json:"namespace"`
	KID       string   `json:"kid"`
	Kind      Kind     `json:"kind"`
	Place     []string `json:"place"`
	Body      string   `json:"body"`
	Record    string   `json:"record"`
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil || len(v.Sealed) == 0 || len(v.Legacy) == 0 {
		t.Fatalf("vectors: %v, %d, %d", err, len(v.Sealed), len(v.Legacy))
	}
	return v
}

func (v vector) ring(t testing.TB) *Ring {
	t.Helper()
	return newTestRing(t, v.Namespace, Key{ID: v.KID, Secret: []byte(v.Secret)})
}

func TestVectors(t *testing.T) {
	for _, v := range readVectors(t).Sealed {
		r := v.ring(t)
		if got := string(r.Seal(nil, v.Kind, []byte(v.Body), v.Place...)); got != v.Record {
			t.Errorf("%s: sealed as\n%s, want\n%s", v.Name, got, v.Record)
		}
		body, err := r.Open(v.Kind, []byte(v.Record), v.Place...)
		if want := v.Body[:len(v.Body)-1] + `,"kid":"` + v.KID + `"}`; err != nil || string(body) != want {
			t.Errorf("%s: opened as %s, %v; want %s", v.Name, body, err, want)
		}
		if again := v.typed(t, r); again != nil && string(again) != v.Record {
			t.Errorf("%s: opened and appended, it became\n%s, want\n%s", v.Name, again, v.Record)
		}
	}
}

// typed opens a vector's record as what it is and seals it again; nil for a kind without a type.
func (v vector) typed(t *testing.T, r *Ring) []byte {
	t.Helper()
	data := []byte(v.Record)
	switch v.Kind {
	case KindSignal:
		return reseal(t, AppendSignal, r)(OpenSignal(r, v.Place[0], data))
	case KindAck:
		return reseal(t, AppendAck, r)(OpenAck(r, v.Place[0], v.Place[1], data))
	case KindHeartbeat:
		return reseal(t, AppendHeartbeat, r)(OpenHeartbeat(r, v.Place[0], data))
	case KindMember:
		return reseal(t, AppendMember, r)(OpenMember(r, data))
	case KindCursor:
		return reseal(t, AppendCursor, r)(OpenCursor(r, v.Place[0], data))
	}
	return nil
}

func reseal[T any](t *testing.T, appendTo func([]byte, *Ring, T) ([]byte, error), r *Ring) func(T, error) []byte {
	return func(x T, err error) []byte {
		t.Helper()
		if err != nil {
			t.Error(err)
			return nil
		}
		data, err := appendTo(nil, r, x)
		if err != nil {
			t.Error(err)
		}
		return data
	}
}

func TestVectorsBindTheAckToTheSignal(t *testing.T) {
	v := readVectors(t).Sealed
	s, err1 := OpenSignal(v[0].ring(t), "coord-b", []byte(v[0].Record))
	a, err2 := OpenAck(v[3].ring(t), "coord-a", "s-1", []byte(v[3].Record))
	if err1 != nil || err2 != nil || !a.Answers(s) {
		t.Errorf("%+v (%v) does not answer %+v (%v)", a, err2, s, err1)
	}
}

func TestLegacyVectors(t *testing.T) {
	for _, v := range readVectors(t).Legacy {
		r, ts := newTestRing(t, "any", Key{Secret: []byte(v.Secret)}), time.UnixMilli(v.Timestamp).UTC()
		got, err := AppendLegacy(nil, r, v.SenderID, v.ReceiverID, v.Type, ts)
		if err != nil || string(got) != v.Slot {
			t.Errorf("appended %s, %v; want %s", got, err, v.Slot)
		}
		s, err := OpenLegacy(r, v.ReceiverID, []byte(v.Slot), ts, false)
		want := &Signal{ID: legacyID([]byte(v.Slot)), Sender: v.SenderID, Receiver: v.ReceiverID, Type: v.Type, Time: ts}
		if err != nil || !reflect.DeepEqual(s, want) {
			t.Errorf("opened %+v, %v; want %+v", s, err, want)
		}
	}
}

// node runs one of the programs in testdata.
func node(t *testing.T, secret string, stdin []byte, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil && os.Getenv("COORD_REQUIRE_NODE") == "1" {
		t.Fatal("COORD_REQUIRE_NODE is set, but there is no node on PATH")
	}
	if err != nil {
		t.Skip("there is no node on PATH")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "BLOCKING_COORDINATION_SECRET="+secret)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	return string(out), err
}

func TestWalkthroughSignalIsAccepted(t *testing.T) {
	r := newTestRing(t, "blocking")
	slot, err := node(t, string(testSecret), nil, "testdata/legacy.mjs", "sign", "coord-a", "coord-b", "wake")
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenLegacy(r, "coord-b", []byte(slot), time.Now(), false)
	if err != nil || s.Sender != "coord-a" || s.Type != "wake" {
		t.Errorf("%s: %+v, %v", slot, s, err)
	}
	other := newTestRing(t, "blocking", Key{Secret: bytes.Repeat([]byte("x"), 32)})
	_, err = OpenLegacy(other, "coord-b", []byte(slot), time.Now(), true)
	wantReason(t, err, Forged)
}

func TestWalkthroughAcceptsOurs(t *testing.T) {
	slot, err := AppendLegacy(nil, newTestRing(t, "blocking"), "coord-a", "coord-b", "wake", testTime)
	if err != nil {
		t.Fatal(err)
	}
	out, err := node(t, string(testSecret), slot, "testdata/legacy.mjs", "verify")
	if err != nil || out != "Signal received: wake" {
		t.Errorf("its verifier says %q, %v", out, err)
	}
	altered := bytes.Replace(slot, []byte("wake"), []byte("walk"), 1)
	if out, err := node(t, string(testSecret), altered, "testdata/legacy.mjs", "verify"); err == nil {
		t.Errorf("its verifier takes an altered one: %q", out)
	}
}

func TestTheDocumentationIsEnoughForAVerifier(t *testing.T) {
	for _, v := range readVectors(t).Sealed {
		in, _ := json.Marshal(v)
		if out, err := node(t, "", in, "testdata/verifier.mjs"); err != nil || out == "" {
			t.Errorf("%s: %q, %v", v.Name, out, err)
		}
		v.Place = append(v.Place[:len(v.Place):len(v.Place)], "")
		in, _ = json.Marshal(v)
		if out, err := node(t, "", in, "testdata/verifier.mjs"); err == nil {
			t.Errorf("%s: it takes another place: %q", v.Name, out)
		}
	}
}
