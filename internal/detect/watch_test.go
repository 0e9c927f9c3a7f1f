package detect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/detect"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/ticketlog"
	"github.com/blocking-coordination/coord/store"
)

// The living cost one Get each, the registry's counter one, and the store's generation one.
func TestTheLivingAreCheap(t *testing.T) {
	w := newWard(defaults)
	m := w.hire("m", time.Second)
	for i := range 1200 {
		w.at(0, w.admit(fmt.Sprint("p", i)).join)
	}
	w.until(time.Minute)
	w.ops = 0
	w.until(70 * time.Second)
	if w.ops != 1202 || len(m.reports) > 0 || w.wrong != "" {
		t.Fatalf("%d operations; %s", w.ops, w.transcript())
	}
}

// lone is one monitor over one dead member that beat once.
func lone() (*ward, *monitor, *patient) {
	w := newWard(defaults)
	m, p := w.hire("m", 0), w.admit("p")
	w.at(0, p.join)
	w.at(1, p.die)
	return w, m, p
}

// What others write as warnings is none, and is written over.
func TestForgedWarnings(t *testing.T) {
	w, m, _ := lone()
	w.until(time.Second)
	real := must(envelope.SealJSON(ring, envelope.KindWarning, map[string]int{"k": 9}, "p", "1", "1", "9"))
	for k := 1; k <= 3; k++ {
		value := [][]byte{nil, []byte("1"), real, must(envelope.SealJSON(alien, envelope.KindWarning, map[string]int{"k": k}, "p", "1", "1", fmt.Sprint(k)))}[k]
		_ = w.mem.SetEX(ctx, space.Warning("p", 1, 1, k), value, time.Hour)
	}
	refused := 0
	m.watch.Refused = func(error) { refused++ }
	w.until(5 * time.Minute)
	w.wantFine(t)
	if len(w.facts) != 3 || w.count(mine) != 1 || refused == 0 {
		t.Fatalf("%d refused\n%s", refused, w.transcript())
	}
}

// wrongType answers for one key as if it held something else.
type wrongType struct {
	store.Store
	key string
}

func (s wrongType) Get(ctx context.Context, key string) ([]byte, error) {
	if key == s.key {
		return nil, store.ErrWrongType
	}
	return s.Store.Get(ctx, key)
}

// A key of another type hides neither a death nor a decision for ever.
func TestKeysOfAnotherType(t *testing.T) {
	for _, key := range []string{space.Heartbeat("p"), space.Handled("p", 1), space.Warning("p", 1, 0, 1)} {
		w, m, p := lone()
		p.lost = true
		w.calm = false
		m.watch.Store = wrongType{m.watch.Store, key}
		w.until(10 * time.Minute)
		if strings.Contains(key, "warning") {
			continue // it is never seen to stand: no decision, but no harm
		}
		if w.wantFine(t); w.count(mine) != 1 {
			t.Fatalf("%s: %s", key, w.transcript())
		}
	}
}

// A proposal whose answer was lost is claimed later by the one whose decision it was.
func TestALostAnswerToTheDecision(t *testing.T) {
	for name, lost := range map[string]error{"lost": errDown, "again": agree.ErrAgain} {
		t.Run(name, func(t *testing.T) {
			w, m, _ := lone()
			w.calm = false
			decide, calls := m.watch.Decide, 0
			m.watch.Decide = func(ctx context.Context, id string, n int64, seq uint64, silent time.Duration) (bool, error) {
				mine, err := decide(ctx, id, n, seq, silent)
				if calls++; calls == 1 {
					return false, lost
				}
				return mine, err
			}
			for w.until(time.Second); calls < 1; w.until(w.now() + 10*time.Second) {
			}
			if errors.Is(m.last, errDown) != (name == "lost") {
				t.Errorf("Check returned %v", m.last)
			}
			w.until(w.now() + time.Minute)
			if w.wantFine(t); w.count(mine) != 1 {
				t.Fatal(w.transcript())
			}
		})
	}
}

// Not yet decided: the proposal is repeated at every check.
func TestErrAgainIsRetried(t *testing.T) {
	w, m, _ := lone()
	w.calm = false
	decide, calls := m.watch.Decide, 0
	m.watch.Decide = func(ctx context.Context, id string, n int64, seq uint64, silent time.Duration) (bool, error) {
		if calls++; calls < 4 {
			return false, fmt.Errorf("%w: %w", agree.ErrAgain, errDown)
		}
		return decide(ctx, id, n, seq, silent)
	}
	w.until(6 * time.Minute)
	if w.wantFine(t); w.count(mine) != 1 || calls != 4 || m.last != nil {
		t.Fatalf("%d calls, %v: %s", calls, m.last, w.transcript())
	}
}

// failing fails every Get of keys that contain part.
type failing struct {
	store.Store
	part *string
}

func (s failing) Get(ctx context.Context, key string) ([]byte, error) {
	if *s.part != "" && strings.Contains(key, *s.part) {
		return nil, errDown
	}
	return s.Store.Get(ctx, key)
}

// Where the generation, the end, the warnings or the heartbeat cannot be read, nobody is accused; where the registry cannot be read,
// those who are known are.
func TestWhatCannotBeRead(t *testing.T) {
	for part, found := range map[string]bool{"generation": false, "handled": false, "decision": false, "warning": false, "heartbeat": false, "members": true} {
		w, m, _ := lone()
		failed := ""
		m.watch.Store = failing{m.watch.Store, &failed}
		w.until(time.Minute)
		failed = part
		w.until(6 * time.Minute)
		if (w.count(mine) == 1) != found || !found && len(w.facts) > 0 || !errors.Is(m.last, errDown) {
			t.Errorf("%s: %v %s", part, m.last, w.transcript())
		}
		w.calm, failed = false, ""
		w.until(12 * time.Minute)
		if w.wantFine(t); w.count(mine) != 1 {
			t.Errorf("%s afterwards: %s", part, w.transcript())
		}
	}
}

// A store that went back: who lives registers again, perhaps under a lower incarnation, and is not taken for superseded.
func TestRegressed(t *testing.T) {
	w := newWard(defaults)
	w.calm = false
	m, p := w.hire("m", 0), w.admit("p")
	p.incarnation = 4
	w.at(0, p.join)
	w.until(time.Minute)
	for _, key := range must(w.mem.Keys(ctx, "")) {
		_, _ = w.mem.Expire(ctx, key, 0)
	}
	p.stop()
	w.until(75 * time.Second)
	if !errors.Is(m.last, ticketlog.ErrRegressed) && len(m.watch.Members()) > 0 {
		t.Fatalf("%v, %+v", m.last, m.watch.Members())
	}
	p.incarnation = 0
	p.join()
	w.until(10 * time.Minute)
	if all := m.watch.Members(); len(all) != 1 || all[0].Incarnation != 1 || all[0].Health != detect.Healthy || len(m.reports) > 0 {
		t.Fatalf("%+v: %s", all, w.transcript())
	}
}

func TestRegressedIsSaidByTheCaller(t *testing.T) {
	w, m, _ := lone()
	w.calm = false
	w.until(100 * time.Second)
	m.watch.Regressed()
	w.until(4 * time.Minute)
	if len(w.facts) != 1 {
		t.Fatalf("silence did not begin again: %s", w.transcript())
	}
	w.until(8 * time.Minute)
	w.wantFine(t)
}

// A heartbeat of a later incarnation supersedes also before its registration is read.
func TestAnUnregisteredIncarnation(t *testing.T) {
	w := newWard(defaults)
	m, p := w.hire("m", 0), w.admit("p")
	w.at(0, p.join)
	w.at(time.Minute+1, func() { p.incarnation, p.seq = 2, 0 })
	w.until(2 * time.Minute)
	if all := m.watch.Members(); len(all) != 1 || all[0].Incarnation != 2 || w.count(of[detect.Superseded]) != 1 {
		t.Fatalf("%+v: %s", all, w.transcript())
	}
}

// Warnings of a monitor without a name, or of its earlier life, are not its own.
func TestWhoseWarning(t *testing.T) {
	w, m, _ := lone()
	w.until(130 * time.Second)
	m.watch.Name = ""
	w.until(3*time.Minute + 10*time.Second)
	n := w.count(func(f detect.Finding) bool { x, ok := f.(detect.Warned); return ok && x.Mine })
	if n != 2 {
		t.Fatalf("%d warnings: %s", n, w.transcript())
	}
}
