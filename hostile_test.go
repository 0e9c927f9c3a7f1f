package coord_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

var (
	space   = keys.In(coord.DefaultNamespace)
	ring    = must(envelope.NewRing(coord.DefaultNamespace, envelope.Key{Secret: secret}))
	foreign = must(envelope.NewRing(coord.DefaultNamespace, envelope.Key{Secret: []byte("another secret of at least 32 bytes")}))
)

// sealed is a signal as somebody else might write it.
func sealed(r *envelope.Ring, change func(*envelope.Signal)) []byte {
	s := &envelope.Signal{
		ID: rand.Text(), Sender: "coord-a", Receiver: "coord-b", Type: "wake", Time: time.Now(),
		Incarnation: 1, Session: "s", Seq: 1,
	}
	if change != nil {
		change(s)
	}
	return must(envelope.AppendSignal(nil, r, s))
}

// put appends raw bytes to a mailbox, as whoever can write to the store can.
func put(st store.Store, receiver string, raw []byte) {
	ctx, log := context.Background(), space.Mailbox(receiver)
	n := must(st.Incr(ctx, log.Tail))
	if err := st.SetEX(ctx, log.Entry(n), raw, time.Hour); err != nil {
		panic(err)
	}
}

// hostile are records that must be stepped over, by the reason that is given.
func hostile() map[string][][]byte {
	good := sealed(ring, nil)
	altered := bytes.Replace(good, []byte(`"wake"`), []byte(`"kill"`), 1)
	badSignature := append(bytes.Clone(good[:len(good)-10]), `zz"}`...)
	return map[string][][]byte{
		"malformed": {nil, []byte("{"), []byte("[]"), []byte("\xff\xfe{}"), good[:len(good)/2], []byte(`{"v":1,"signature":7}`)},
		"forged":    {altered, badSignature, sealed(foreign, nil)},
		"unsigned":  {[]byte(`{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":1}`)},
		"misrouted": {sealed(ring, func(s *envelope.Signal) { s.Receiver = "coord-c" })},
		"stale":     {sealed(ring, func(s *envelope.Signal) { s.Time = s.Time.Add(-48 * time.Hour) })},
		"future":    {sealed(ring, func(s *envelope.Signal) { s.Time = s.Time.Add(time.Hour) })},
	}
}

// TestHostileSignalsAreSteppedOver: each is refused and counted once; what is behind them is not delayed (S3, S7, R13).
func TestHostileSignalsAreSteppedOver(t *testing.T) {
	in(t, func(t *testing.T) {
		st, seen := memstore.New(), &record{}
		a := joinOn(t, st, "coord-a", coord.Config{})
		b := joinOn(t, st, "coord-b", coord.Config{Observer: seen})
		n := 0
		for _, records := range hostile() {
			for _, raw := range records {
				put(st, "coord-b", raw)
				n++
			}
		}
		r := waiting(t.Context(), b)
		must(a.Post(t.Context(), "coord-b", "good", nil))
		if r := <-r; r.err != nil || r.signal.Type != "good" || r.took != 0 {
			t.Errorf("after %v: %+v, %v", r.took, r.signal, r.err)
		}
		time.Sleep(time.Minute)
		if _, again := b.TryWait(t.Context()); again {
			t.Error("something was handed over that nobody sent")
		}
		refused := 0
		for _, times := range seen.reasons() {
			refused += times
		}
		if refused != n {
			t.Errorf("%d records, %d refusals: %v", n, refused, seen.reasons())
		}
	})
}

// TestHostileSignalsOneByOne: the reason is the right one.
func TestHostileSignalsOneByOne(t *testing.T) {
	for reason := range hostile() {
		t.Run(reason, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, seen := memstore.New(), &record{}
				b := joinOn(t, st, "coord-b", coord.Config{Observer: seen})
				records := hostile()[reason]
				for _, raw := range records {
					put(st, "coord-b", raw)
				}
				if s, ok := b.TryWait(t.Context()); ok {
					t.Errorf("handed over: %+v", s)
				}
				got := seen.reasons()
				if reason == "forged" { // a key id that nobody knows cannot be told from a forgery by its name
					got["forged"] += got["unknown-key"] + got["malformed"]
					delete(got, "unknown-key")
					delete(got, "malformed")
				}
				if !maps.Equal(got, map[string]int{reason: len(records)}) {
					t.Errorf("%d records, refused: %v", len(records), got)
				}
			})
		})
	}
}

// TestReplay: an old signal that is written again, however often, is handed over no second time (R11), not even to the
// next incarnation.
func TestReplay(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
		must(a.Post(t.Context(), "coord-b", "wake", nil))
		old := must(st.Get(t.Context(), space.Mailbox("coord-b").Entry(1)))
		must(b.Wait(t.Context()))
		replay := func(b *coord.Coordinator) {
			for range 3 {
				put(st, "coord-b", old)
			}
			if s, again := b.TryWait(t.Context()); again {
				t.Errorf("handed over again: %+v", s)
			}
		}
		replay(b)
		synctest.Wait()
		if err := b.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		replay(joinOn(t, st, "coord-b", coord.Config{}))
	})
}

// TestHostileHints: hints are not believed. They delay nothing and deliver nothing.
func TestHostileHints(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		a, b := joinOn(t, st, "coord-a", coord.Config{}), joinOn(t, st, "coord-b", coord.Config{})
		must(a.Post(t.Context(), "coord-b", "first", nil))
		must(b.Wait(t.Context()))
		r := waiting(t.Context(), b)
		synctest.Wait()
		for _, payload := range []string{"", "a", "a x", "ax y", " ", "1", "2 {", "99999999999999999999 {}", "-1 {}", "7 {}", "2 " + string(sealed(ring, nil))} {
			for _, id := range []string{"coord-a", "coord-b"} {
				_ = st.Publish(t.Context(), space.Channel(id), []byte(payload))
			}
		}
		if _, err := a.Send(t.Context(), "coord-b", "good", nil); err != nil {
			t.Error(err)
		}
		if r := <-r; r.err != nil || r.signal.Type != "good" || r.took > 0 {
			t.Errorf("after %v: %+v, %v", r.took, r.signal, r.err)
		}
	})
}

// TestHostileAcks: no ACK but the signal's own ends a Send: neither one of another signal, nor one that was copied from
// another coordinator's key, nor an altered or foreign one (R2, S5).
func TestHostileAcks(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		c := joinOn(t, st, "coord-c", coord.Config{})
		other := ackOfAnother(t, st, c)
		for i, raw := range append(forgedAcks(), other) {
			seen := &record{}
			seen.then = func(e coord.Event) {
				if p, ok := e.(coord.SignalPosted); ok {
					_ = st.SetEX(context.Background(), space.Ack(p.From, p.ID), raw, time.Hour)
					_ = st.Publish(context.Background(), space.Channel(p.From), append([]byte("a"+p.ID+" "), raw...))
				}
			}
			a := joinOn(t, st, "coord-a", coord.Config{Observer: seen})
			if _, err := a.Send(t.Context(), "nobody"+strconv.Itoa(i), "wake", nil, coord.Within(30*time.Second)); !errors.Is(err, coord.ErrNoAck) {
				t.Errorf("%s was believed: %v", raw, err)
			}
			if n := len(of[coord.SignalRefused](seen)); n != 1 {
				t.Errorf("%s: refused %d times, told of once is enough", raw, n)
			}
			_ = a.Leave(t.Context())
		}
	})
}

// ackOfAnother is a true ACK of a signal of coord-c.
func ackOfAnother(t *testing.T, st *memstore.Store, c *coord.Coordinator) []byte {
	b := joinOn(t, st, "coord-b", coord.Config{})
	id := must(c.Post(t.Context(), "coord-b", "wake", nil))
	must(b.Wait(t.Context()))
	synctest.Wait()
	return must(st.Get(t.Context(), space.Ack("coord-c", id)))
}

func forgedAcks() [][]byte {
	ack := func(r *envelope.Ring) []byte {
		return must(envelope.AppendAck(nil, r, &envelope.Ack{
			SignalID: "x", Digest: envelope.Digest(&envelope.Signal{}), Sender: "coord-a", Receiver: "coord-b",
			Incarnation: 1, Session: "s", Time: time.Now(),
		}))
	}
	return [][]byte{nil, []byte("{}"), []byte("OK"), ack(ring), ack(foreign), ack(ring)[:40]}
}

// TestARealAckAfterAForgedOne: the forged one held nothing up.
func TestARealAckAfterAForgedOne(t *testing.T) {
	in(t, func(t *testing.T) {
		st, seen := memstore.New(), &record{}
		seen.then = func(e coord.Event) {
			if p, ok := e.(coord.SignalPosted); ok {
				_ = st.SetEX(context.Background(), space.Ack(p.From, p.ID), []byte("{}"), time.Hour)
			}
		}
		a, b := joinOn(t, st, "coord-a", coord.Config{Observer: seen}), joinOn(t, st, "coord-b", coord.Config{})
		time.AfterFunc(10*time.Second, func() { _, _ = b.Wait(context.Background()) })
		if _, err := a.Send(t.Context(), "coord-b", "wake", nil); err != nil {
			t.Error(err)
		}
		if n := seen.reasons(); len(n) > 1 {
			t.Errorf("refused: %v", n)
		}
	})
}
