package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
	"github.com/blocking-coordination/coord/store/redisstore"
)

const (
	crowdSpace  = "crowd"
	foreignKeys = 1_000_000
	passes      = 7
)

// detection measures what a monitor's pass costs when many beat in time, and whom it holds up. Time passes on a fake
// clock; what the members would have written meanwhile is written for them.
func (r *run) detection() error {
	server, err := startServer()
	if err != nil {
		return err
	}
	defer server.stop()
	unpin(server.cmd.Process.Pid) // where a monitor holds up others is the server, not the core that it would share with it
	c, err := newCrowd(r.ctx, server)
	if err != nil {
		return err
	}
	defer c.close()
	for _, n := range []int{1_000, 10_000, 100_000} {
		r.progress(fmt.Sprintf("detection among %d", n))
		f, err := c.measure(n)
		if err != nil {
			return err
		}
		r.report.tell(fmt.Sprintf("detection pass, %d members, none late, ms", n), f.pass, "ms")
	}
	r.progress("detection beside foreign keys")
	if err := c.populate(); err != nil {
		return err
	}
	f, err := c.again()
	if err != nil {
		return err
	}
	r.report.atMost("detection pass, 100 k members, none late, 1 M foreign keys, ms", f.pass, 5, 5)
	r.report.atMost("detection pass, 100 k members, longest stall of another client, ms", f.stall, 2, 2)
	r.report.tell("the same while no pass is made", f.idle, "ms")
	r.report.tell("detection pass, 100 k members, heartbeats and other keys read", f.reads, "")
	return nil
}

// crowd is many members in a store of their own, and a monitor of them.
type crowd struct {
	ctx     context.Context
	server  *server
	driver  *redisstore.Store
	clock   *memstore.FakeClock
	ring    *envelope.Ring
	space   keys.Space
	client  *coord.Client
	monitor *coord.Monitor
	probe   *probe
	n       int
	names   []string // of the members in the late index
	seq     uint64
	turn    int // passes of the present monitor that were measured
}

func newCrowd(ctx context.Context, s *server) (*crowd, error) {
	driver, err := redisstore.Open(ctx, s.url(), redisstore.WithTimeout(10*time.Second)) // it writes at length
	if err != nil {
		return nil, err
	}
	ring, err := envelope.NewRing(crowdSpace, envelope.Key{Secret: secret})
	if err != nil {
		return nil, err
	}
	probe, err := startProbe(s.addr)
	return &crowd{
		ctx: ctx, server: s, driver: driver, ring: ring, space: keys.In(crowdSpace), probe: probe,
		clock: memstore.NewFakeClock(time.Now()),
	}, err
}

func (c *crowd) close() {
	c.probe.close()
	if c.client != nil {
		_ = c.client.Close()
	}
	_ = c.driver.Close()
}

// found is what was found out about a pass: medians.
type found struct{ pass, stall, idle, reads float64 }

// measure lets the crowd grow to n, and a new monitor get to know it.
func (c *crowd) measure(n int) (found, error) {
	if err := c.grow(n); err != nil {
		return found{}, err
	}
	if c.client != nil {
		_ = c.client.Close()
	}
	client, err := coord.Open(c.driver, coord.Config{Secret: secret, Namespace: crowdSpace, Clock: c.clock})
	if err != nil {
		return found{}, err
	}
	c.client, c.monitor, c.turn = client, client.Monitor(), 0
	for check := range warming {
		// It waits for late registrations, reads the registry, then everybody, until it knows how far the index has counted.
		if check == 0 || check > knowing { // each beat is heard, or its member is asked again
			err = errors.Join(c.beat(0, n), c.touch())
		}
		if err := errors.Join(err, c.monitor.Check(c.ctx)); err != nil {
			return found{}, err
		}
		c.clock.Advance(coord.DefaultPolicy().Check)
	}
	return c.again()
}

const (
	knowing = 4 // the check, from 0, at which a monitor has read the whole registry
	warming = 6 // checks until the index has spoken for a while
)

// again measures passes of the monitor that there is.
func (c *crowd) again() (f found, err error) {
	var took, stalls, idle, reads []float64
	for range passes {
		if err := c.beatInTurn(); err != nil {
			return f, err
		}
		runtime.GC() // of what was written for the members
		before := c.reads()
		began, _ := time.Now(), c.probe.longest()
		if err := c.monitor.Check(c.ctx); err != nil {
			return f, err
		}
		spent := time.Since(began)
		took, stalls = append(took, millis(spent)), append(stalls, millis(c.probe.longest()))
		time.Sleep(spent)
		idle, reads = append(idle, millis(c.probe.longest())), append(reads, c.reads()-before)
		c.clock.Advance(coord.DefaultPolicy().Check)
	}
	return found{middle(took), middle(stalls), middle(idle), middle(reads)}, nil
}

// reads is how many keys were read so far.
func (c *crowd) reads() float64 {
	text, _ := c.server.client.Info(c.ctx, "commandstats").Result()
	return calls(text, "get")
}

// grow registers members until there are n.
func (c *crowd) grow(n int) error {
	log := c.space.Members()
	err := c.write(c.n, n, func(i int) ([]store.Op, error) {
		entry, err := envelope.AppendMember(nil, c.ring, &envelope.Member{ID: crowded(i), Incarnation: 1, Session: "s"})
		return []store.Op{store.SetEXOp(log.Entry(int64(i+1)), entry, time.Hour)}, err
	})
	c.n = n
	if err != nil {
		return err
	}
	return c.driver.SetEX(c.ctx, log.Tail, strconv.AppendInt(nil, int64(n), 10), time.Hour)
}

func crowded(i int) string { return fmt.Sprintf("member-%06d", i) }

// beatInTurn has those beat whom the monitor reads next, and some before and behind them. At every second pass all touch
// the index, which is often enough to be on time.
func (c *crowd) beatInTurn() error {
	const each, spare = 500, 1500
	first := (c.turn + warming - knowing) * each
	if c.turn++; c.turn%2 == 1 {
		if err := c.touch(); err != nil {
			return err
		}
	}
	if c.n <= 10*each || first+spare > c.n {
		return c.beat(0, c.n)
	}
	return c.beat(max(0, first-spare), first+spare)
}

// touch puts everybody on time in the late index.
func (c *crowd) touch() error {
	const atOnce = 1000
	for i := len(c.names); i < c.n; i++ {
		c.names = append(c.names, keys.Indexed(crowded(i), 1))
	}
	for some := range slices.Chunk(c.names, atOnce) {
		if err := c.driver.Touch(c.ctx, c.space.Late(), time.Hour, some...); err != nil {
			return err
		}
	}
	return nil
}

// beat has the members from first to last beat.
func (c *crowd) beat(first, last int) error {
	c.seq++
	now := c.clock.Now()
	return c.write(first, last, func(i int) ([]store.Op, error) {
		sealed, err := envelope.AppendHeartbeat(nil, c.ring, &envelope.Heartbeat{
			ID: crowded(i), Incarnation: 1, Session: "s", Seq: c.seq, Time: now, Status: "alive",
		})
		return []store.Op{store.SetEXOp(c.space.Heartbeat(crowded(i)), sealed, time.Hour)}, err
	})
}

// write does what of says for each from first to last, some thousand in one trip.
func (c *crowd) write(first, last int, of func(i int) ([]store.Op, error)) error {
	var ops []store.Op
	for i := first; i < last; i++ {
		more, err := of(i)
		if err != nil {
			return err
		}
		if ops = append(ops, more...); len(ops) >= 2_000 || i == last-1 {
			if err := store.FirstError(c.driver.Batch(c.ctx, ops)); err != nil {
				return err
			}
			ops = ops[:0]
		}
	}
	return nil
}

// populate writes keys that are nobody's.
func (c *crowd) populate() error {
	const atOnce = 20_000
	for first := 0; first < foreignKeys; first += atOnce {
		err := c.server.client.Eval(c.ctx, `for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do redis.call('SET', 'foreign:' .. i, 'x') end`,
			nil, first, atOnce).Err()
		if err != nil && err.Error() != "redis: nil" {
			return err
		}
	}
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// probe is another client of the server, in a process of its own: it asks again and again and knows its longest wait.
type probe struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

const probeEnv = "COORD_BENCH_PROBE"

func startProbe(addr string) (*probe, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), probeEnv+"="+addr)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	err = spawn(cmd)
	if err == nil {
		unpin(cmd.Process.Pid)
	}
	return &probe{cmd, in, bufio.NewReader(out)}, err
}

// longest is the longest wait since it was asked before.
func (p *probe) longest() time.Duration {
	_, _ = fmt.Fprintln(p.in)
	line, _ := p.out.ReadString('\n')
	n, _ := strconv.ParseInt(line[:max(0, len(line)-1)], 10, 64)
	return time.Duration(n)
}

func (p *probe) close() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}
