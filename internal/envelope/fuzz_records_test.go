package envelope

import "testing"

// addRecord adds a record, its halves, and what decoders differ on.
func addRecord(f *testing.F, good []byte, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-80])
	f.Add(good[len(good)-80:])
	for _, odd := range oddities {
		f.Add([]byte(odd))
	}
}

// eachForm tries data as it is, and as a careless key holder might seal it.
func eachForm(r *Ring, data []byte, kind Kind, place string, try func([]byte)) {
	try(data)
	if sealable(data) {
		try(r.Seal(nil, kind, data, place))
	}
}

// wantEither: a value or a refusal with its reason, never both and never neither.
func wantEither[T any](t *testing.T, data []byte, v *T, err error) {
	t.Helper()
	if (err == nil) != (v != nil) || (err != nil) != (ReasonOf(err) != "") {
		t.Fatalf("%q: %+v, %v", data, v, err)
	}
}

func FuzzOpenHeartbeat(f *testing.F) {
	r := newTestRing(f, "blocking")
	good, err := AppendHeartbeat(nil, r, &Heartbeat{ID: "coord-a", Incarnation: 2, Session: "s", Seq: 7, Time: testTime, Status: "alive"})
	addRecord(f, good, err)
	f.Add([]byte(`{"v":1,"coordinatorId":"coord-a","incarnation":9223372036854775807,"seq":18446744073709551615}`))
	open := func(data []byte) (*Heartbeat, error) { return OpenHeartbeat(r, "coord-a", data) }
	f.Fuzz(func(t *testing.T, data []byte) {
		eachForm(r, data, KindHeartbeat, "coord-a", func(data []byte) {
			h, err := open(data)
			if wantEither(t, data, h, err); h == nil {
				return
			}
			again, err := AppendHeartbeat(nil, r, h)
			wantSame(t, h, again, err, open)
			wantNowhereElse(t, data, KindHeartbeat, "coord-a")
		})
	})
}

func FuzzOpenMember(f *testing.F) {
	r := newTestRing(f, "blocking")
	good, err := AppendMember(nil, r, &Member{ID: "coord-a", Incarnation: 2, Session: "s"})
	addRecord(f, good, err)
	f.Add([]byte(`{"v":1,"coordinatorId":"coord-a","incarnation":-1,"session":"\ud800"}`))
	open := func(data []byte) (*Member, error) { return OpenMember(r, data) }
	f.Fuzz(func(t *testing.T, data []byte) {
		eachForm(r, data, KindMember, placeMembers, func(data []byte) {
			m, err := open(data)
			if wantEither(t, data, m, err); m == nil {
				return
			}
			again, err := AppendMember(nil, r, m)
			wantSame(t, m, again, err, open)
			wantNowhereElse(t, data, KindMember, placeMembers)
		})
	})
}

func FuzzOpenCursor(f *testing.F) {
	r := newTestRing(f, "blocking")
	good, err := AppendCursor(nil, r, &Cursor{Receiver: "coord-a", Ticket: 7, Generation: "g"})
	addRecord(f, good, err)
	f.Add([]byte(`{"v":1,"receiverId":"coord-a","ticket":-9223372036854775808}`))
	f.Add([]byte(`{"v":1,"receiverId":"coord-a","ticket":1,"generation":null}`))
	open := func(data []byte) (*Cursor, error) { return OpenCursor(r, "coord-a", data) }
	f.Fuzz(func(t *testing.T, data []byte) {
		eachForm(r, data, KindCursor, "coord-a", func(data []byte) {
			c, err := open(data)
			if wantEither(t, data, c, err); c == nil {
				return
			}
			again, err := AppendCursor(nil, r, c)
			wantSame(t, c, again, err, open)
			wantNowhereElse(t, data, KindCursor, "coord-a")
		})
	})
}

func FuzzLegacyAck(f *testing.F) {
	good, err := AppendLegacyAck(nil, "coord-a", testTime)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, odd := range oddities {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		at, err := OpenLegacyAck("coord-a", data)
		if (err != nil) != (ReasonOf(err) != "") {
			t.Fatalf("%q: %v", data, err)
		}
		if err != nil {
			return
		}
		again, err := AppendLegacyAck(nil, "coord-a", at)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := OpenLegacyAck("coord-a", again); err != nil || !same.Equal(at) {
			t.Fatalf("%q says %v, but %q says %v, %v", data, at, again, same, err)
		}
		if _, err := OpenLegacyAck("coord-x", data); err == nil {
			t.Fatalf("%q is taken for another sender's", data)
		}
	})
}
