package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// deaths counts who was declared dead, by however many monitors.
type deaths struct {
	mu    sync.Mutex
	count map[string]int
	moved int
}

func (d *deaths) Observe(e coord.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e := e.(type) {
	case coord.Dead:
		d.count[e.ID]++
	case coord.WorkHandedOver:
		d.moved++
	}
}

func (d *deaths) all() (map[string]int, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.count), d.moved
}

// watchers starts monitors, each as a process of its own would be, until t ends. more hear what they hear.
func watchers(t *testing.T, n int, url string, policy coord.Policy) *deaths {
	t.Helper()
	d := &deaths{count: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for range n {
		c, err := clientOf(ctx, url, policy, d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		running.Go(func() { _ = c.Monitor().Run(ctx) })
	}
	return d
}

// Ten coordinators with fifty units each, nine of them killed one after the other, three monitors, the fast preset:
// every unit is done (X3), none is committed twice (X2, X4), each death is escalated once and nobody else's (D4).
func TestFleetOfTen(t *testing.T) {
	fleet, units := 10, 50
	if testing.Short() {
		fleet, units = 3, 10
	}
	u, server := onRedis(t)
	log := logFile(t)
	var hands []*process
	for i := range fleet {
		h, _ := startHand(t, fmt.Sprintf("coord-%d", i), server.URL(), log, units, 500*time.Millisecond)
		hands = append(hands, h)
	}
	d := watchers(t, 3, server.URL(), coord.FastPolicy())
	for _, h := range hands {
		await(t, &h.out, "ready")
	}
	killed := map[string]int{}
	for i, h := range hands[:fleet-1] {
		h.signal(t, syscall.SIGKILL)
		killed[fmt.Sprintf("coord-%d", i)] = 1
		awaitCommits(t, log, len(handledIn(t, log))+2) // the others go on meanwhile
	}
	eventually(t, func() error { return allDone(u, fleet*units) })
	got, moved := d.all()
	if !maps.Equal(got, killed) {
		t.Errorf("escalated: %v, killed: %v", got, killed)
	}
	commits := judgeCommits(t, log)
	t.Logf("%d units, %d commits in the log, %d hand-overs, %d deaths", fleet*units, commits, moved, len(got))
}

func awaitCommits(t *testing.T, log string, n int) {
	t.Helper()
	eventually(t, func() error {
		if got := len(handledIn(t, log)); got < n {
			return fmt.Errorf("%d of %d commits", got, n)
		}
		return nil
	})
}

func allDone(u *user, want int) error {
	rows := strings.Split(strings.TrimSpace(u.must("work", "ls")), "\n")[1:]
	open := slices.DeleteFunc(rows, func(r string) bool { return strings.Fields(r)[1] == "done" })
	if done := len(rows) - len(open); done != want {
		return fmt.Errorf("%d of %d units are done; the others:\n%s", done, want, strings.Join(open[:min(5, len(open))], "\n"))
	}
	return nil
}

// judgeCommits: one commit for each unit, whatever its epoch. A commit that the kill cut off before the log is missing.
func judgeCommits(t *testing.T, log string) int {
	t.Helper()
	by := map[string]string{}
	for _, line := range handledIn(t, log) {
		unit, rest, _ := strings.Cut(line, " ")
		if by[unit] != "" {
			t.Errorf("unit %s was committed in epoch %s and in epoch %s", unit, by[unit], rest)
		}
		by[unit] = rest
	}
	return len(by)
}

// Owners that are frozen until others own their units, and then go on: each commit is refused (D5, X4), 20 of 20.
func TestFrozenOwnersAreFenced(t *testing.T) {
	owners := 20
	if testing.Short() {
		owners = 3
	}
	_, server := onRedis(t)
	log := logFile(t)
	heirs, err := clientOf(t.Context(), server.URL(), steady)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = heirs.Close() })
	heir, err := heirs.Join(t.Context(), "coord-heir")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.Map
	err = heir.OnTakeOver(func(ctx context.Context, task *coord.Task) error {
		done.Store(task.ID(), task.Epoch())
		return task.Done(ctx, []byte("heir"))
	})
	if err != nil {
		t.Fatal(err)
	}
	frozen := make([]*process, owners)
	asks := make([]func(), owners)
	for i := range owners {
		p, ask := startHand(t, fmt.Sprintf("owner-%d", i), server.URL(), log, 1, 0)
		frozen[i], asks[i] = p, func() { _, _ = ask.WriteString("finish\n") }
	}
	for _, p := range frozen {
		await(t, &p.out, "ready")
	}
	d := watchers(t, 1, server.URL(), steady)
	for _, p := range frozen {
		p.signal(t, syscall.SIGSTOP) // it takes effect some time later
	}
	eventually(t, func() error {
		if got, moved := d.all(); len(got) != owners || moved != owners {
			return fmt.Errorf("%d of %d escalated, %d units moved", len(got), owners, moved)
		}
		return nil
	})
	for i, p := range frozen {
		asks[i]() // the first thing that it does when it goes on
		p.signal(t, syscall.SIGCONT)
	}
	for _, p := range frozen {
		await(t, &p.out, "commit: ")
		if !strings.Contains(p.out.String(), "commit: fenced=true, ") {
			t.Errorf("%s", &p.out)
		}
	}
	if lines := handledIn(t, log); len(lines) > 0 {
		t.Errorf("committed: %v", lines)
	}
}

// One record among six does not verify: the other five units move, it is reported.
func TestMalformedUnitAmongSix(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	a := u.start(with(quick, "run", "--id", "coord-a", "--work", "--claim", "6", "--exec", "sleep 60")...)
	for i := range 6 {
		u.must("work", "add", fmt.Sprintf("u-%d", i))
	}
	eventually(t, func() error {
		if got := u.must("work", "ls"); strings.Count(got, "coord-a") != 6 {
			return fmt.Errorf("not all are owned:\n%s", got)
		}
		return nil
	})
	st, err := redisstore.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	const entry = "blocking:work:intents:{coord-a/1}:entry:3"
	if err := st.SetEX(t.Context(), entry, []byte("not what a key holder wrote"), time.Hour); err != nil {
		t.Fatal(err)
	}
	b := u.start(with(quick, "run", "--id", "coord-b", "--work", "--claim", "0", "--exec", "true")...)
	m := u.start(with(quick, "monitor")...)
	await(t, &m.err, "watching")
	await(t, &b.err, "joined")
	a.signal(t, syscall.SIGKILL)
	await(t, &m.err, "work set aside: unit unknown: ")
	eventually(t, func() error {
		if n := strings.Count(b.out.String(), " done by coord-b, epoch 2\n"); n != 5 {
			return fmt.Errorf("%d units done", n)
		}
		return nil
	})
	if !strings.Contains(m.err.String(), entry) || strings.Count(m.out.String(), "handed over from coord-a to coord-b") != 5 {
		t.Errorf("the monitor:\n%s%s", &m.out, &m.err)
	}
	if got := u.must("work", "ls"); strings.Count(got, "owned  1      coord-a\n") != 1 {
		t.Errorf("left behind:\n%s", got)
	}
}

// Redis is restarted five times, once for longer than silence is allowed to be, under five coordinators and a monitor:
// nobody is even warned (D2), and all take signals again.
func TestRedisRestartedFiveTimes(t *testing.T) {
	restarts := 5
	if testing.Short() {
		restarts = 1
	}
	u, server := onRedis(t)
	m := u.start("monitor", "--preset", "fast")
	await(t, &m.err, "watching")
	var all []*process
	for i := range 5 {
		p := u.start("run", "--preset", "fast", "--id", fmt.Sprintf("coord-%d", i), "--forever")
		all = append(all, p)
		await(t, &p.err, "joined")
	}
	for n := 1; n <= restarts; n++ {
		server.Kill()
		eventually(t, func() error {
			if got := strings.Count(m.err.String(), "] Redis failure: "); got < n {
				return fmt.Errorf("the monitor noticed %d of %d outages", got, n)
			}
			return nil
		})
		if n == 1 {
			<-time.After(coord.FastPolicy().Stale + coord.FastPolicy().Check) // this is how long the outage is
		}
		server.Restart()
		for i, p := range all {
			u.must("send", "--from", "sender", "--to", fmt.Sprintf("coord-%d", i), "--timeout", "25s")
			await(t, &p.out, strings.Repeat("Signal received: wake from sender\n", n))
		}
		eventually(t, func() error {
			if got := strings.Count(m.err.String(), "] Redis connection restored\n"); got < n {
				return fmt.Errorf("the monitor is back after %d of %d outages", got, n)
			}
			return nil
		})
	}
	if m.out.String() != "" {
		t.Errorf("the monitor:\n%s", &m.out)
	}
}
