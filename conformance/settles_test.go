package conformance

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/sim"
	"github.com/blocking-coordination/coord/store"
)

// A goroutine that reads from outside of the bubble is noticed, instead of waited for.
func TestReaderDoesNotSettle(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	if settles(t, 100*time.Millisecond, func(*testing.T, func()) {
		go func() { _, _ = r.Read(make([]byte, 1)) }()
		synctest.Wait()
		close(ended)
	}) {
		t.Error("a bubble settles in which a goroutine reads from a pipe")
	}
	_ = w.Close()
	<-ended
	_ = r.Close()
}

// A trial that ends in an error of the store says which operation on which key for how long it was.
func TestTrialTellsWhatFailed(t *testing.T) {
	var told string
	mem := newBroken(func(b *broken) { b.setex = refuseYears(b) })
	tr := explained(proof.Trial{Play: func(on sim.Ground, _ sim.Chooser) (*sim.World, error) {
		return nil, on.Store.SetEX(t.Context(), key("k"), nil, forever)
	}}, &told)
	_, err := tr.Play(sim.Ground{Store: noting{mem, &told}}, nil)
	if err == nil || !strings.Contains(err.Error(), `SetEX of "conformance:{t}k" for 100000h0m0s: `+store.ErrInvalidTTL.Error()) {
		t.Errorf("the trial says %v", err)
	}
}
