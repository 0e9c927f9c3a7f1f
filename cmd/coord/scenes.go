package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
)

// patience bounds what should come at once.
const patience = 5 * time.Second

// outcome is how a wait in the background ended.
type outcome struct {
	signal *coord.Signal
	err    error
}

// waiting blocks in the background, as another process would.
func waiting(ctx context.Context, c *coord.Coordinator, opts ...coord.Option) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		s, err := c.Wait(ctx, opts...)
		done <- outcome{s, err}
	}()
	return done
}

// pair is coord-a and coord-b, each in a process of its own.
func (s *stage) pair(watchB ...coord.Observer) (a, b *coord.Coordinator, err error) {
	if a, err = s.join("coord-a"); err == nil {
		b, err = s.join("coord-b", watchB...)
	}
	return a, b, err
}

func sceneSignal(s *stage) error {
	a, b, err := s.pair()
	if err != nil {
		return err
	}
	s.say("coord-b blocks until somebody wakes it; coord-a sends wake and blocks until that is acknowledged")
	woken := waiting(s.app.ctx, b, coord.OfType("wake"), coord.Within(patience))
	ack, err := a.Send(s.app.ctx, "coord-b", "wake", []byte("go on"), coord.Within(patience))
	if err != nil {
		return err
	}
	got := <-woken
	if got.err != nil {
		return got.err
	}
	if got.signal.From != "coord-a" || string(got.signal.Payload) != "go on" || ack.SignalID != got.signal.ID {
		return fmt.Errorf("coord-b got %+v, the ACK is for %s", got.signal, ack.SignalID)
	}
	s.seen("coord-b: Signal received: %s from %s, payload %q", got.signal.Type, got.signal.From, got.signal.Payload)
	s.seen("coord-a: ACK from %s in %s, for this very signal", ack.From, brief(ack.Latency))
	return nil
}

func sceneEarly(s *stage) error {
	a, err := s.join("coord-a")
	if err != nil {
		return err
	}
	id, err := a.Post(s.app.ctx, "coord-late", "validate", nil)
	if err != nil {
		return err
	}
	s.say("coord-a posts validate to coord-late, which does not even run yet")
	pause(s.app.ctx, s.pace)
	late, err := s.join("coord-late")
	if err != nil {
		return err
	}
	s.say("coord-late starts, and waits")
	began := time.Now()
	got, err := late.Wait(s.app.ctx, coord.Within(patience))
	if err != nil {
		return err
	}
	if got.ID != id {
		return fmt.Errorf("coord-late got signal %s, %s was sent", got.ID, id)
	}
	s.seen("coord-late: Signal received: %s from %s, after blocking for %s", got.Type, got.From, brief(time.Since(began)))
	return nil
}

// refusals collects why signals were refused.
type refusals struct {
	mu      sync.Mutex
	reasons []string
}

func (r *refusals) Observe(e coord.Event) {
	if refused, ok := e.(coord.SignalRefused); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reasons = append(r.reasons, refused.Reason)
	}
}

func (r *refusals) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.reasons...)
}

// forgeries are what an intruder with access to the store, but without the secret, can write.
func (s *stage) forgeries() ([]forgery, error) {
	theirs, err := envelope.NewRing(coord.DefaultNamespace, envelope.Key{Secret: []byte("guessed-guessed-guessed-guessed!")})
	if err != nil {
		return nil, err
	}
	guessed, err := envelope.AppendSignal(nil, theirs, &envelope.Signal{
		ID: "forged-1", Sender: "coord-a", Receiver: "coord-b", Type: "wake", Time: time.Now(), Session: "s",
	})
	plain := fmt.Sprintf(`{"senderId":"coord-a","receiverId":"coord-b","type":"wake","timestamp":%d}`, time.Now().UnixMilli())
	return []forgery{
		{"signed with a guessed secret", "forged", guessed},
		{"not signed at all", "unsigned", []byte(plain)},
		{"not even JSON", "malformed", []byte("wake up!")},
	}, err
}

type forgery struct {
	what, reason string
	value        []byte
}

func sceneForged(s *stage) error {
	var refused refusals
	a, b, err := s.pair(&refused)
	if err != nil {
		return err
	}
	forged, err := s.forgeries()
	if err != nil {
		return err
	}
	box := mailbox.Post{Store: s.store, Space: keys.In(coord.DefaultNamespace), Times: mailbox.DefaultTimes, Now: time.Now}
	for _, f := range append(forged, s.altered(a)) {
		s.say("an intruder puts a signal into coord-b's mailbox: %s", f.what)
		if err := box.Append(s.app.ctx, "coord-b", f.value); err != nil {
			return err
		}
	}
	if _, err = a.Post(s.app.ctx, "coord-b", "wake", []byte("true")); err != nil {
		return err
	}
	got, err := b.Wait(s.app.ctx, coord.Within(patience))
	if err != nil {
		return err
	}
	return s.judge(got, refused.all(), append(forged, forgery{reason: "forged"}))
}

// altered is a true signal with one word changed on its way.
func (s *stage) altered(a *coord.Coordinator) forgery {
	f := forgery{what: "a true one with its payload altered", reason: "forged"}
	if _, err := a.Post(s.app.ctx, "coord-elsewhere", "wake", []byte("pay 10")); err != nil {
		return f
	}
	entry := keys.In(coord.DefaultNamespace).Mailbox("coord-elsewhere").Entry(1)
	genuine, err := s.store.Get(s.app.ctx, entry)
	if err == nil {
		f.value = bytes.Replace(genuine, []byte("pay 10"), []byte("pay 99"), 1)
	}
	return f
}

// judge: everything forged was refused for its reason, and the true signal came through.
func (s *stage) judge(got *coord.Signal, reasons []string, forged []forgery) error {
	if string(got.Payload) != "true" || len(reasons) != len(forged) {
		return fmt.Errorf("got payload %q; refused: %v, want %d", got.Payload, reasons, len(forged))
	}
	for i, f := range forged {
		if reasons[i] != f.reason {
			return fmt.Errorf("forgery %d was refused as %s, not as %s", i+1, reasons[i], f.reason)
		}
		s.seen("refused: %s", reasons[i])
	}
	s.seen("the true signal behind them was received: %s from %s", got.Type, got.From)
	return nil
}

func sceneTimeout(s *stage) error {
	const within = time.Second
	a, b, err := s.pair()
	if err != nil {
		return err
	}
	s.say("coord-b waits for one second, and nobody sends anything")
	began := time.Now()
	_, err = b.Wait(s.app.ctx, coord.Within(within))
	if took := time.Since(began); !errors.Is(err, coord.ErrTimeout) || took < within {
		return fmt.Errorf("the wait ended after %v with %v", took, err)
	}
	s.seen("%v", err)
	if _, err := a.Post(s.app.ctx, "coord-b", "wake", nil); err != nil {
		return err
	}
	got, err := b.Wait(s.app.ctx, coord.Within(patience))
	if err != nil {
		return err
	}
	s.seen("a signal that comes after that is there for the next wait: %s from %s", got.Type, got.From)
	return nil
}

func sceneMany(s *stage) error {
	const senders, each = 10, 10
	all, err := s.join("coord-all")
	if err != nil {
		return err
	}
	s.say("%d processes send %d signals each to coord-all, at once", senders, each)
	seen := map[string]int{} // by one worker
	stop, err := all.Handle(func(_ context.Context, sig *coord.Signal) ([]byte, error) {
		seen[sig.ID]++
		return nil, nil
	})
	if err != nil {
		return err
	}
	began := time.Now()
	acked, err := s.sendAll(senders, each)
	took := time.Since(began)
	stop()
	if err != nil {
		return err
	}
	return s.count(seen, acked, senders*each, took)
}

// sendAll returns the ids of the acknowledged signals.
func (s *stage) sendAll(senders, each int) (acked []string, err error) {
	var mu sync.Mutex
	var sending sync.WaitGroup
	for i := range senders {
		me, failed := s.join(fmt.Sprintf("sender-%d", i+1))
		if failed != nil {
			return nil, failed
		}
		for range each {
			sending.Go(func() {
				ack, failed := me.Send(s.app.ctx, "coord-all", "done", nil, coord.Within(patience))
				mu.Lock()
				defer mu.Unlock()
				if err = errors.Join(err, failed); ack != nil {
					acked = append(acked, ack.SignalID)
				}
			})
		}
	}
	sending.Wait()
	return acked, err
}

func (s *stage) count(seen map[string]int, acked []string, want int, took time.Duration) error {
	if len(seen) != want || len(acked) != want {
		return fmt.Errorf("%d signals received, %d acknowledged, want %d of each", len(seen), len(acked), want)
	}
	for _, id := range acked {
		if seen[id] != 1 {
			return fmt.Errorf("signal %s was received %d times", id, seen[id])
		}
	}
	s.seen("%d signals received, each once, each acknowledged, in %s", want, brief(took))
	return nil
}
