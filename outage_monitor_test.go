package coord_test

import (
	"context"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
)

// TestMonitorTellsTheEndOfAnOutage: failed checks are reported, and once that the store answers again.
func TestMonitorTellsTheEndOfAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st, w := newUnsteady(), &record{}
		c, ended := openOn(t, st, coord.Config{Observer: w}), make(chan error)
		go func() { ended <- c.Monitor().Run(ctx) }()
		for range 2 {
			time.Sleep(time.Minute + time.Second)
			st.down.Store(true)
			time.Sleep(time.Minute)
			st.down.Store(false)
		}
		time.Sleep(time.Minute)
		if failed, restored := len(of[coord.StoreFailed](w)), len(of[coord.StoreRestored](w)); failed < 12 || restored != 2 {
			t.Errorf("%d failures, %d times restored", failed, restored)
		}
		cancel()
		<-ended
	})
}
