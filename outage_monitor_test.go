package coord_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/memstore"
)

// TestMonitorTellsTheEndOfAnOutage: failed checks are reported, and once that the store answers again.
func TestMonitorTellsTheEndOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st, w := &mortal{Store: memstore.New()}, &witness{}
		c := openStore(t, st, coord.Config{Observer: w})
		go func() { _ = c.Monitor().Run(ctx) }()
		for range 2 {
			time.Sleep(time.Minute + time.Second)
			st.kill(true)
			time.Sleep(time.Minute)
			st.kill(false)
		}
		time.Sleep(time.Minute)
		if failed, restored := count[coord.StoreFailed](w), count[coord.StoreRestored](w); failed < 12 || restored != 2 {
			t.Errorf("%d failures, %d times restored", failed, restored)
		}
		cancel()
		_ = c.Close()
		synctest.Wait()
	})
}
