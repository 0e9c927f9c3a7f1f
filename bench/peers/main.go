// Command peers does the job of bench with what else could do it: a message there and an answer back, one pair, in turns
// and in one run with go-redis's bare publish and subscribe and with coord. It is a module of its own, so that nobody who
// uses coord gets these dependencies.
//
//	cd bench/peers && go run .
//
// It starts a redis-server, a nats-server and an etcd of its own, or uses the NATS server at 127.0.0.1:4222, and says what
// is missing. To pin everything to one core, start it with taskset.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// peer is one way to do the job.
type peer struct {
	name string
	note string                          // what it gives beside the latency
	open func(env) (ping, func(), error) // not called twice
	ping func(ctx context.Context) error // there and back
	all  []time.Duration                 // the medians of the rounds
	tail []time.Duration                 // their 99th percentiles
}

type ping func(ctx context.Context) error

// env is what there is.
type env struct {
	redis string // host:port
	nats  string // URL; empty: there is none
	etcd  string // the same
}

func (e env) client() *redis.Client { return redis.NewClient(&redis.Options{Addr: e.redis}) }

// errMissing says what is needed.
var errMissing = errors.New("not measured")

func main() {
	rounds := flag.Int("rounds", 7, "how often everybody takes a turn")
	slice := flag.Duration("slice", 400*time.Millisecond, "how long a turn is")
	flag.Parse()
	runtime.LockOSThread() // what ends the servers with this program is bound to the thread that starts them
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *rounds, *slice); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rounds int, slice time.Duration) error {
	e, stop, err := startServers()
	defer stop()
	if err != nil {
		return err
	}
	peers, closeAll := opened(e)
	defer closeAll()
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for i := range peers {
			if err := peers[(i+round)%len(peers)].turn(ctx, slice); err != nil {
				return err
			}
		}
	}
	report(peers)
	return nil
}

// opened are those that can be measured; of the others it says why not.
func opened(e env) (peers []*peer, closeAll func()) {
	var closes []func()
	for _, p := range everybody() {
		fmt.Fprintf(os.Stderr, "opening %s\n", p.name)
		ping, closes1, err := p.open(e)
		if err != nil {
			fmt.Printf("%s: %v\n", p.name, err)
			continue
		}
		p.ping = ping
		closes = append(closes, closes1)
		peers = append(peers, p)
	}
	return peers, func() {
		for _, f := range closes {
			f()
		}
	}
}

// turn pings for a while, at least twice.
func (p *peer) turn(ctx context.Context, d time.Duration) error {
	var took []time.Duration
	for end := time.Now().Add(d); time.Now().Before(end) || len(took) < 2; {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		began := time.Now()
		err := p.ping(ctx)
		took = append(took, time.Since(began))
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	slices.Sort(took)
	p.all = append(p.all, took[len(took)/2])
	p.tail = append(p.tail, took[len(took)*99/100])
	return nil
}

func report(peers []*peer) {
	bare := peers[0]
	fmt.Println("\n| peer | p50 µs | p99 µs | p50 against bare publish/subscribe | |\n|---|---|---|---|---|")
	for _, p := range peers {
		ratios := make([]float64, len(p.all))
		for i := range p.all {
			ratios[i] = float64(p.all[i]) / float64(bare.all[i])
		}
		slices.Sort(ratios)
		fmt.Printf("| %s | %.0f | %.0f | %.2f | %s |\n", p.name, micros(median(p.all)), micros(median(p.tail)), ratios[len(ratios)/2], p.note)
	}
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
