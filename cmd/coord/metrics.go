package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/metrics"
)

// serveMetrics serves what the returned observers count at addr/metrics, until stop is called. Without an address it
// does nothing.
func (a *app) serveMetrics(addr string) (watchers []coord.Observer, stop func(), err error) {
	if addr == "" {
		return nil, func() {}, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counts, err := metrics.New(registry)
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("--metrics-addr: %w", err)
	}
	fmt.Fprintf(a.err, "[%s] metrics at http://%s/metrics\n", time.Now().Format(time.TimeOnly), listener.Addr())
	return []coord.Observer{counts}, serve(listener, registry), nil
}

// serve answers scrapes until stop is called.
func serve(listener net.Listener, registry *prometheus.Registry) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			_ = listener.Close()
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}
}
