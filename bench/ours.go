package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/redisstore"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// process is what one process of a fleet has: a store and a client.
type process struct {
	client *coord.Client
	close  func()
}

// open makes one as README shows it. around, where not nil, goes between driver and breaker.
func open(url string, cfg coord.Config, around func(store.Store) store.Store) (*process, error) {
	driver, err := redisstore.Open(context.Background(), url)
	if err != nil {
		return nil, err
	}
	var st store.Store = driver
	if around != nil {
		st = around(st)
	}
	cfg.Secret = secret
	c, err := coord.Open(breaker.Wrap(st), cfg)
	if err != nil {
		return nil, err
	}
	return &process{c, func() { _ = c.Close(); _ = driver.Close() }}, nil
}

// sides are the two ends of some pairs: who sends, and who waits or serves.
type sides struct {
	senders []*coord.Coordinator
	to      []string
}

// pairUp joins n senders in one client and n receivers in another, which answer until ctx ends.
func pairUp(ctx context.Context, there, back *coord.Client, name string, n int, serve bool) (*sides, error) {
	if back != nil {
		if err := receive(ctx, back, name, n, serve); err != nil {
			return nil, err
		}
	}
	s := &sides{}
	for i := range n {
		a, err := there.Join(ctx, name+"-a"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		s.senders, s.to = append(s.senders, a), append(s.to, name+"-b"+strconv.Itoa(i))
	}
	return s, s.warm(ctx)
}

func receive(ctx context.Context, c *coord.Client, name string, n int, serve bool) error {
	for i := range n {
		b, err := c.Join(ctx, name+"-b"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		if serve {
			_, err = b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return []byte("done"), nil })
		} else {
			go waitAndWait(ctx, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func waitAndWait(ctx context.Context, b *coord.Coordinator) {
	for ctx.Err() == nil && b.Context().Err() == nil {
		_, _ = b.Wait(ctx)
	}
}

// warm sends the first signals: from then on, each side knows the other.
func (s *sides) warm(ctx context.Context) error {
	var group sync.WaitGroup
	errs := make([]error, len(s.senders))
	for i := range s.senders {
		group.Go(func() { errs[i] = s.send(ctx, i) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sides) send(ctx context.Context, pair int) error {
	_, err := s.senders[pair].Send(ctx, s.to[pair], "wake", nil, coord.Within(20*time.Second))
	return err
}

// job is one way in which we do it.
type job struct {
	name   string
	pairs  int
	serve  bool
	two    bool // in two processes
	config coord.Config
	around func(store.Store) store.Store
}

// ours is Send until the ACK is there.
func (r *run) ours(j job) (*contender, error) {
	there, err := open(r.server.url(), j.config, j.around)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	name := fmt.Sprintf("p%d-%d", time.Now().UnixNano()%1e9, j.pairs)
	back, stop, err := r.otherSide(ctx, j, name)
	if err != nil {
		cancel()
		return nil, err
	}
	s, err := pairUp(ctx, there.client, back, name, j.pairs, j.serve)
	return &contender{name: j.name, pairs: j.pairs, ping: func(ctx context.Context, pair int) error { return s.send(ctx, pair) },
		close: func() { cancel(); there.close(); stop() }}, err
}

// otherSide is a client in this process, or a process of its own.
func (r *run) otherSide(ctx context.Context, j job, name string) (*coord.Client, func(), error) {
	if j.two {
		stop, err := startChild(ctx, r.server.url(), name, j.pairs)
		return nil, stop, err
	}
	back, err := open(r.server.url(), j.config, j.around)
	if err != nil {
		return nil, nil, err
	}
	return back.client, back.close, nil
}

// startChild starts this program once more, to answer, and returns when it is ready.
func startChild(ctx context.Context, url, name string, pairs int) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", url, "-pairs", strconv.Itoa(pairs))
	cmd.Env = append(os.Environ(), "COORD_BENCH_NAME="+name)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := spawn(cmd); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("the second process: %w", err)
	}
	return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

// answer is what the second process does.
func answer(ctx context.Context, url string, pairs int) error {
	p, err := open(url, coord.Config{}, nil)
	if err != nil {
		return err
	}
	defer p.close()
	if err := receive(ctx, p.client, os.Getenv("COORD_BENCH_NAME"), pairs, false); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

// stepwise hides what makes a trip of several operations; hints stay.
func stepwise(s store.Store) store.Store { return hiding{s, store.CapabilitiesOf(s)} }

type hiding struct {
	store.Store
	caps store.Capabilities
}

func (h hiding) Capabilities() store.Capabilities {
	return store.Capabilities{Hints: h.caps.Hints, Notices: h.caps.Notices}
}

// deaf hides the hints.
func deaf(s store.Store) store.Store { return deafStore{s, store.CapabilitiesOf(s)} }

type deafStore struct {
	store.Store
	caps store.Capabilities
}

func (d deafStore) Capabilities() store.Capabilities {
	caps := d.caps
	caps.Hints = lostHints{}
	return caps
}

// lostHints loses every one, as a broken subscription would.
type lostHints struct{}

func (lostHints) Publish(context.Context, string, []byte) error { return nil }

func (lostHints) Subscribe(_ string, fn func([]byte)) func() { fn(nil); return func() {} }
