package envelope

import (
	"reflect"
	"testing"
)

func TestAckRoundTrip(t *testing.T) {
	r := newTestRing(t, "blocking")
	for name, a := range map[string]*Ack{
		"ok":       testAck(),
		"rejected": {SignalID: "s-1", Digest: Digest(testSignal()), Sender: "a", Receiver: "b", Time: testTime, Rejected: true, Reason: "no \"such\" task"},
		"binary":   {SignalID: "s-1", Digest: Digest(testSignal()), Sender: "a", Receiver: "b", Time: testTime, Result: []byte{0xff}},
	} {
		got, err := OpenAck(r, a.Sender, a.SignalID, sealAck(t, r, a))
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%s: opened as %+v, %v; want %+v", name, got, err, a)
		}
	}
}

// TestS5AckAnswersOnlyItsSignal: R2 was an acknowledgement that fits whichever signal is waited for.
func TestS5AckAnswersOnlyItsSignal(t *testing.T) {
	if !testAck().Answers(testSignal()) {
		t.Fatal("an acknowledgement does not answer its signal")
	}
	for name, change := range map[string]func(*Signal){
		"id": func(s *Signal) { s.ID = "s-2" }, "payload": func(s *Signal) { s.Payload = nil },
		"sender": func(s *Signal) { s.Sender = "coord-x" }, "receiver": func(s *Signal) { s.Receiver = "coord-x" },
		"type": func(s *Signal) { s.Type = "decide" }, "round": func(s *Signal) { s.Round = "r-2" },
	} {
		s := testSignal()
		if change(s); testAck().Answers(s) {
			t.Errorf("it answers a signal with another %s", name)
		}
	}
	a := testAck()
	if a.Receiver = "coord-c"; a.Answers(testSignal()) {
		t.Error("another receiver's acknowledgement answers")
	}
}

func TestAckIsChecked(t *testing.T) {
	r := newTestRing(t, "blocking")
	for name, spoil := range map[string]func(*Ack){
		"digest": func(a *Ack) { a.Digest = "abc" }, "id": func(a *Ack) { a.SignalID = "a:b" },
		"receiver": func(a *Ack) { a.Receiver = "" }, "reason": func(a *Ack) { a.Reason = "\xff" },
	} {
		a := testAck()
		spoil(a)
		if _, err := AppendAck(nil, r, a); ReasonOf(err) != Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := testAck()
	a.Result = make([]byte, MaxSize)
	dst, err := AppendAck([]byte("dst"), r, a)
	if wantReason(t, err, TooLarge); string(dst) != "dst" {
		t.Error("dst was changed")
	}
	_, err = OpenAck(r, "coord-a", "s-1", make([]byte, MaxSize+1))
	wantReason(t, err, TooLarge)
}

func TestOpenAckChecksWhatAKeyHolderWrote(t *testing.T) {
	r := newTestRing(t, "blocking")
	head := `{"v":1,"digest":"` + Digest(testSignal()) + `","receiverId":"b","timestamp":1`
	for members, want := range map[string]Reason{
		`,"senderId":"a","signalId":"s","status":"ok"}`:                                    "",
		`,"senderId":"a","signalId":"s","status":"ok","later":null}`:                       "",
		`,"senderId":"a","signalId":"s","status":"maybe"}`:                                 Malformed,
		`,"senderId":"a","signalId":"s"}`:                                                  Malformed,
		`,"senderId":"x","signalId":"s","status":"ok"}`:                                    Misrouted,
		`,"senderId":"a","signalId":"x","status":"ok"}`:                                    Misrouted,
		`,"senderId":"a","signalId":"s","status":"ok","v":2}`:                              Malformed,
		`,"senderId":"a","signalId":"s","status":"ok","digest":"x"}`:                       Malformed,
		`,"senderId":"a","signalId":"s","status":"ok","result":"x","resultBase64":"eA=="}`: Malformed,
	} {
		_, err := OpenAck(r, "a", "s", r.Seal(nil, KindAck, []byte(head+members), "a", "s"))
		if wantReason(t, err, want); t.Failed() {
			t.Fatal(members)
		}
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	r := newTestRing(t, "blocking")
	h := &Heartbeat{ID: "coord-a", Incarnation: 2, Session: "s", Seq: 1<<64 - 1, Time: testTime, Status: "alive"}
	data, _ := AppendHeartbeat(nil, r, h)
	if got, err := OpenHeartbeat(r, "coord-a", data); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("heartbeat: %+v, %v", got, err)
	}
	m := &Member{ID: "coord-a", Incarnation: 1<<63 - 1, Session: "s"}
	data, _ = AppendMember(nil, r, m)
	if got, err := OpenMember(r, data); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("member: %+v, %v", got, err)
	}
	c := &Cursor{Receiver: "coord-a", Ticket: 7, Generation: "g"}
	data, _ = AppendCursor(nil, r, c)
	if got, err := OpenCursor(r, "coord-a", data); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("cursor: %+v, %v", got, err)
	}
}

func TestRecordsAreChecked(t *testing.T) {
	r := newTestRing(t, "blocking")
	_, err := AppendHeartbeat(nil, r, &Heartbeat{ID: "a:b"})
	wantReason(t, err, Malformed)
	_, err = AppendHeartbeat(nil, r, &Heartbeat{ID: "a", Status: "\xff"})
	wantReason(t, err, Malformed)
	_, err = AppendMember(nil, r, &Member{ID: "a", Session: "\xff"})
	wantReason(t, err, Malformed)
	_, err = AppendCursor(nil, r, &Cursor{Receiver: ""})
	wantReason(t, err, Malformed)

	_, err = OpenHeartbeat(r, "a", r.Seal(nil, KindHeartbeat, []byte(`{"v":1,"coordinatorId":"b"}`), "a"))
	wantReason(t, err, Misrouted)
	_, err = OpenHeartbeat(r, "a", r.Seal(nil, KindHeartbeat, []byte(`{"coordinatorId":"a"}`), "a"))
	wantReason(t, err, Malformed)
	_, err = OpenMember(r, r.Seal(nil, KindMember, []byte(`{"v":1,"coordinatorId":"*"}`), placeMembers))
	wantReason(t, err, Malformed)
	_, err = OpenCursor(r, "a", r.Seal(nil, KindCursor, []byte(`{"v":1,"receiverId":"b"}`), "a"))
	wantReason(t, err, Misrouted)
	_, err = OpenCursor(r, "a", r.Seal(nil, KindCursor, []byte(`{"v":1,"ticket":"b"}`), "a"))
	wantReason(t, err, Malformed)
}
