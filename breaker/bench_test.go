package breaker_test

import (
	"testing"

	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// What the breaker adds to an operation of a store that is well.
func BenchmarkIncr(b *testing.B) {
	mem := memstore.New()
	wrapped := breaker.Wrap(mem)
	for _, bb := range []struct {
		name string
		s    store.Store
	}{{"bare", mem}, {"wrapped", wrapped}, {"once", wrapped.Once()}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.s.Incr(b.Context(), "n"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
