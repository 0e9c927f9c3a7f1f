package proof

import (
	"testing"

	"github.com/blocking-coordination/coord/internal/sim"
)

// Fuzz lets Go's fuzzer make the choices, a byte for each, and plain ones after the last: whatever it tries is a run,
// and what it learns from one by the code that was covered stays true when it adds to it. (rapid.MakeFuzz needs sixteen
// bytes or more for a choice, and throws away what ends too early.)
func Fuzz(f *testing.F, trials ...Trial) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &bytesChoose{data}
		trial := trials[c.Choose("world", len(trials))]
		if w, err := trial.Play(sim.Ground{}, c); err != nil {
			t.Fatalf("%s: %v\n%s", trial.Name, err, w.Transcript())
		}
	})
}

type bytesChoose struct{ rest []byte }

func (b *bytesChoose) Choose(_ string, n int) int {
	if len(b.rest) == 0 {
		return 0
	}
	c := int(b.rest[0]) % n
	b.rest = b.rest[1:]
	return c
}
