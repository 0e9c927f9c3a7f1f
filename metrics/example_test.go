package metrics_test

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/metrics"
	"github.com/blocking-coordination/coord/store/memstore"
)

func Example() {
	ctx := context.Background()
	reg := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	observer, err := metrics.New(reg)
	if err != nil {
		panic(err)
	}
	secret := []byte("an example's secret of 32 bytes!")
	c, err := coord.Open(memstore.New(), coord.Config{Secret: secret, Observer: observer})
	if err != nil {
		panic(err)
	}
	defer c.Close()

	a, _ := c.Join(ctx, "coord-a")
	_, _ = a.Wait(ctx, coord.Within(time.Millisecond)) // nobody sends anything

	families, _ := reg.Gather() // what promhttp.HandlerFor(reg, ...) serves
	for _, f := range families {
		switch f.GetName() {
		case "active_coordinators":
			fmt.Println(f.GetName(), f.GetMetric()[0].GetGauge().GetValue())
		case "timeout_events_total":
			for _, m := range f.GetMetric() {
				fmt.Println(f.GetName(), m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	// Output:
	// active_coordinators 1
	// timeout_events_total send 0
	// timeout_events_total wait 1
}
