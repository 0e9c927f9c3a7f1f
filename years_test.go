package coord_test

import (
	"context"

	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/proof"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store/memstore"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var coordinatorYears = flag.Float64("coord.years", 0, "live so many coordinator-years in TestYears; 0: two weeks")

// years are a hundred coordinators in fifteen processes and three monitors on one store, and what befalls them.
type years struct {
	*annals
	ctx       context.Context
	random    *rand.Rand // of the one goroutine that is fate
	ids       []string
	home      map[string]*process
	processes []*process
	busy      atomic.Int64 // what is under way and ends by itself
	all       sync.WaitGroup
	number    int
	lived     time.Duration // by all together
	aged      time.Time     // when that was added up
}

// process is a program that bears some names. Its runs follow each other.
type process struct {
	*years
	name string
	ids  []string

	mu  sync.Mutex
	run *run // nil: it is down
}

// run is a process from its start to its crash.
type run struct {
	*process
	link    *link
	client  *coord.Client
	monitor *coord.Monitor // nil where it bears names
	ctx     context.Context
	end     context.CancelFunc

	mu      sync.Mutex
	members map[string]*coord.Coordinator
}

// TestYears lives: simulated time passes as fast as everything that is due in it can be done, and at least one fault
// befalls each minute. -coord.years says how long, -coord.seed chooses what befalls whom and when; which operation a fault
// hits depends on the scheduler, too. Judged while it lives (annals): nobody who beats is warned or declared dead, who
// crashed is declared dead once and in time, and nobody else is; a signal is handed to an incarnation once, and to none once
// its ACK stood; every wait and Send ends in time; units have one result and none is lost; answers of rounds stand. After
// each week everything comes to rest: no call hangs, nothing has grown, everybody is there and every monitor knows it.
func TestYears(t *testing.T) {
	seed, total := proof.Seed(1), *coordinatorYears*float64(year)
	if total == 0 {
		total = float64(14 * day / proof.Slow)
	}
	t.Logf("replay: go test -run '^TestYears$' . -coord.years=%g -coord.seed=%d", total/float64(year), seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	in(t, func(t *testing.T) {
		y := newYears(t, seed)
		y.start()
		week := 7 * day * time.Duration(len(y.ids))
		for y.lived < time.Duration(total) && y.ctx.Err() == nil {
			y.live(min(time.Duration(total), y.lived+week))
			y.rest()
		}
		y.finish()
	})
}

func newYears(t *testing.T, seed uint64) *years {
	s := &sky{Store: memstore.New(), beats: map[work.Owner]beat{}}
	ctx, cancel := context.WithCancel(t.Context())
	y := &years{annals: newAnnals(t, cancel, s), ctx: ctx, random: rand.New(rand.NewPCG(seed, 0)), home: map[string]*process{}}
	s.noted = func(subject, what string) {
		y.note(subject, what)
		if strings.HasPrefix(subject, "monitor") {
			y.troubled(subject, 0)
		}
	}
	for i, many := range []int{20, 20, 20, 20, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1} {
		p := &process{years: y, name: fmt.Sprint("process-", i)}
		for range many {
			id := fmt.Sprint("coord-", len(y.ids))
			p.ids, y.ids, y.home[id] = append(p.ids, id), append(y.ids, id), p
		}
		y.processes = append(y.processes, p)
	}
	for i := range 3 {
		name := fmt.Sprint("monitor-", i)
		y.monitors = append(y.monitors, name)
		y.processes = append(y.processes, &process{years: y, name: name})
	}
	return y
}

// goes runs f, which ends by itself.
func (y *years) goes(f func()) {
	y.busy.Add(1)
	y.all.Go(func() { defer y.busy.Add(-1); f() })
}

func (y *years) start() {
	for i, p := range y.processes {
		p.start(i)
	}
}

// event is something that happens again and again, at random times.
type event struct {
	every time.Duration // as a rule
	do    func()
	at    time.Time // the next one
}

func (y *years) events() []event {
	all := []event{
		{every: time.Minute, do: func() { synctest.Wait(); y.audit(); y.age() }},
		{every: 20 * time.Second, do: y.fault},
		{every: 3 * time.Second, do: y.signal},
		{every: time.Minute, do: y.unit},
		{every: 15 * time.Minute, do: y.round},
		{every: 10 * time.Minute, do: y.partition},
		{every: 30 * time.Minute, do: y.outage},
		{every: 10 * time.Minute, do: y.crash},
		{every: 10 * time.Minute, do: y.leave},
		{every: time.Hour, do: y.forget},
	}
	for i := range all {
		all[i].at = time.Now().Add(y.draw(0, all[i].every))
	}
	return all
}

// live has time pass until all together have lived for so long, and what happens in it.
func (y *years) live(until time.Duration) {
	began, faults, events := time.Now(), y.sky.faults(), y.events()
	y.aged = began
	for y.ctx.Err() == nil && y.lived < until {
		next := &events[0]
		for i := range events {
			if events[i].at.Before(next.at) {
				next = &events[i]
			}
		}
		time.Sleep(time.Until(next.at))
		next.do()
		next.at = next.at.Add(y.draw(next.every/2, next.every*3/2))
	}
	if n, minutes := y.sky.faults()-faults, int(time.Since(began)/time.Minute); n < minutes && y.ctx.Err() == nil {
		y.Errorf("only %d faults in %d minutes", n, minutes)
	}
}

// age adds up how long the coordinators have lived.
func (y *years) age() {
	d := time.Since(y.aged)
	y.aged = time.Now()
	for _, id := range y.ids {
		if _, a := y.member(id); a != nil {
			y.lived += d
		}
	}
}

// member returns who bears id now, nil if nobody does.
func (y *years) member(id string) (*run, *coord.Coordinator) {
	r := y.home[id].running()
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.members[id]
}

func (p *process) running() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// anybody draws one of the living.
func (y *years) anybody() (*run, *coord.Coordinator) {
	return y.member(y.anyID())
}

func (y *years) anyID() string { return y.ids[y.random.IntN(len(y.ids))] }

func (y *years) anyProcess() *process { return y.processes[y.random.IntN(len(y.processes))] }

func (y *years) draw(from, to time.Duration) time.Duration {
	return from + time.Duration(y.random.Int64N(int64(to-from)))
}

// rest heals everything and waits until nothing is under way: whatever still is then hangs. Then it looks at what has
// grown.
func (y *years) rest() {
	if y.ctx.Err() != nil {
		return
	}
	for _, p := range y.processes {
		if r := p.running(); r != nil {
			r.link.heal()
		}
	}
	for waited := time.Duration(0); (y.busy.Load() > 0 || y.unfinished()) && waited < 3*time.Hour; waited += time.Minute {
		time.Sleep(time.Minute)
	}
	time.Sleep(15 * time.Minute) // what the dead have left, ghosts
	synctest.Wait()
	if n := y.busy.Load(); n > 0 {
		stacks := make([]byte, 1<<20)
		y.Errorf("%d calls hang\n%s", n, stacks[:runtime.Stack(stacks, true)])
	}
	y.settleUnits()
	if y.ctx.Err() == nil {
		y.grown()
	}
}

func (y *years) finish() {
	for _, p := range y.processes {
		if r := p.running(); r != nil {
			r.end()
			y.all.Go(func() { _ = r.client.Close() })
		}
	}
	y.all.Wait()
	n := y.sums
	if n.attempted != n.acknowledged+n.reported+n.orphaned && !y.Failed() {
		y.Errorf("%d Sends: %d acknowledged, %d reported, %d lost their process", n.attempted, n.acknowledged, n.reported, n.orphaned)
	}
	y.Logf("counted %d coordinator-days", y.lived/day)
	y.Logf("counted %d faults", y.sky.faults())
	y.Logf("counted %d signals", n.attempted)
	y.Logf("counted %d acknowledgements", n.acknowledged)
	y.Logf("counted %d deaths", n.deaths)
	y.Logf("counted %d units", n.units)
	y.Logf("counted %d rounds", n.rounds)
	for _, what := range slices.Sorted(maps.Keys(n.seen)) {
		y.Logf("reached %7d times: %s", n.seen[what], what)
	}
}
