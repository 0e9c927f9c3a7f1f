package envelope

import (
	"encoding/json"
	"testing"
)

func BenchmarkAppendSignal(b *testing.B) {
	r, s := newTestRing(b, "blocking"), testSignal()
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = AppendSignal(nil, r, s)
		}
	})
	b.Run("reused", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = AppendSignal(buf[:0], r, s)
		}
	})
}

func BenchmarkEncodeOnly(b *testing.B) {
	s := testSignal()
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = appendSignalBody(buf[:0], s)
		}
	})
	b.Run("encodingjson", func(b *testing.B) {
		b.ReportAllocs()
		w := wireOfSignal(s)
		for b.Loop() {
			_, _ = json.Marshal(&w)
		}
	})
}

func BenchmarkOpenSignal(b *testing.B) {
	r := newTestRing(b, "blocking")
	data := seal(b, r, testSignal())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenSignal(r, "coord-b", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyOnly(b *testing.B) {
	r := newTestRing(b, "blocking")
	data := seal(b, r, testSignal())
	b.ReportAllocs()
	for b.Loop() {
		if err := r.verify(KindSignal, data, []string{"coord-b"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOnly(b *testing.B) {
	data := seal(b, newTestRing(b, "blocking"), testSignal())
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fastSignal(data)
		}
	})
	b.Run("encodingjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var w signalWire
			_ = json.Unmarshal(data, &w)
		}
	})
}

func BenchmarkAppendAck(b *testing.B) {
	r, a := newTestRing(b, "blocking"), testAck()
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf, _ = AppendAck(buf[:0], r, a)
	}
}

func BenchmarkOpenAck(b *testing.B) {
	r := newTestRing(b, "blocking")
	data := sealAck(b, r, testAck())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenAck(r, "coord-a", "s-1", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	s := testSignal()
	b.ReportAllocs()
	for b.Loop() {
		Digest(s)
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	r := newTestRing(b, "blocking")
	h := &Heartbeat{ID: "coord-a", Incarnation: 1, Session: "0123456789abcdef", Seq: 7, Time: testTime, Status: "alive"}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf, _ = AppendHeartbeat(buf[:0], r, h)
		if _, err := OpenHeartbeat(r, "coord-a", buf); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations keeps the hot paths as they were measured. A signal that is opened allocates itself, one copy of its
// strings, and its payload.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, s, a := newTestRing(t, "blocking"), testSignal(), testAck()
	data, ack, buf := seal(t, r, s), sealAck(t, r, a), make([]byte, 0, 4096)
	for _, c := range []struct {
		name string
		most float64
		run  func()
	}{
		{"verify", 0, func() { _ = r.verify(KindSignal, data, []string{"coord-b"}) }},
		{"append signal", 0, func() { _, _ = AppendSignal(buf, r, s) }},
		{"append signal to nil", 1, func() { _, _ = AppendSignal(nil, r, s) }},
		{"open signal", 3, func() { _, _ = OpenSignal(r, "coord-b", data) }},
		{"append ack", 0, func() { _, _ = AppendAck(buf, r, a) }},
		{"open ack", 3, func() { _, _ = OpenAck(r, "coord-a", "s-1", ack) }},
		{"digest", 2, func() { Digest(s) }},
	} {
		if got := testing.AllocsPerRun(200, c.run); got > c.most {
			t.Errorf("%s allocates %v times, want at most %v", c.name, got, c.most)
		}
	}
}
