package main

import (
	"errors"

	"github.com/blocking-coordination/coord"
)

// serveMetrics serves what the returned observers count, until stop is called.
func (r *runCmd) serveMetrics(*app) (watchers []coord.Observer, stop func(), err error) {
	if r.MetricsAddr == "" {
		return nil, func() {}, nil
	}
	return nil, nil, errors.New("--metrics-addr: not supported by this build")
}
