package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// Two senders, 500 signals each, all at once; the receiver is killed with SIGKILL five times and started again. S1, S2,
// S4 over real processes and a real server.
const (
	senders    = 2
	signals    = 500
	kills      = 5
	sendWithin = 100 * time.Second
)

func TestNothingIsLostWhenTheReceiverIsKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	log := filepath.Join(t.TempDir(), "handled")
	var sent sync.WaitGroup
	acked := make([][]string, senders)
	reported := make([][]error, senders)
	for i := range senders {
		sent.Go(func() { acked[i], reported[i] = sendMany(t, server.URL(), fmt.Sprintf("sender-%d", i+1)) })
	}
	r := startReceiver(t, log, server.URL())
	for n := 1; n <= kills; n++ {
		awaitHandled(t, log, n*senders*signals/(kills+2))
		r.kill()
		r = startReceiver(t, log, server.URL())
	}
	sent.Wait()
	judge(t, handledIn(t, log), acked, reported)
}

// sendMany sends all signals at once and returns the ids of those that were acknowledged, and the other errors.
func sendMany(t *testing.T, url, id string) (acked []string, reported []error) {
	st, err := redisstore.Open(t.Context(), url)
	if err != nil {
		return nil, []error{err}
	}
	defer func() { _ = st.Close() }()
	c, err := coord.Open(breaker.Wrap(st), coord.Config{Secret: []byte(testSecret)})
	if err != nil {
		return nil, []error{err}
	}
	defer func() { _ = c.Close() }()
	me, err := c.Join(t.Context(), id)
	if err != nil {
		return nil, []error{err}
	}
	return sendAtOnce(t.Context(), me)
}

func sendAtOnce(ctx context.Context, me *coord.Coordinator) (acked []string, reported []error) {
	var mu sync.Mutex
	var sending sync.WaitGroup
	for range signals {
		sending.Go(func() {
			ack, err := me.Send(ctx, receiverID, "work", nil, coord.Within(sendWithin))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				reported = append(reported, err)
				return
			}
			acked = append(acked, ack.SignalID)
		})
	}
	sending.Wait()
	return acked, reported
}

// receiver is a process that handles signals.
type receiver struct {
	cmd *exec.Cmd
	err lines
}

func startReceiver(t *testing.T, log, url string) *receiver {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{cmd: exec.Command(self)}
	r.cmd.Env = append(os.Environ(), receiverEnv+"="+log, storeEnv+"="+url)
	r.cmd.Stderr = &r.err
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("receiver: %s", &r.err)
		}
	})
	return r
}

func (r *receiver) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// awaitHandled waits until at least n lines stand in log.
func awaitHandled(t *testing.T, log string, n int) {
	t.Helper()
	end := time.Now().Add(sendWithin)
	for got := 0; got < n; got = len(handledIn(t, log)) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d signals handled after %v", got, n, sendWithin)
		}
		<-time.After(time.Millisecond)
	}
}

// handledIn returns the lines "incarnation id" of log. A line that the kill cut off was never acknowledged.
func handledIn(t *testing.T, log string) []string {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	whole := string(b[:bytes.LastIndexByte(b, '\n')+1])
	return strings.FieldsFunc(whole, func(r rune) bool { return r == '\n' })
}

func judge(t *testing.T, handled []string, acked [][]string, reported [][]error) {
	t.Helper()
	byIncarnation, byID := map[string]int{}, map[string]int{}
	for _, line := range handled {
		byIncarnation[line]++
		_, id, _ := strings.Cut(line, " ")
		byID[id]++
	}
	for line, n := range byIncarnation {
		if n != 1 {
			t.Errorf("%q was handled %d times by one incarnation (S2)", line, n)
		}
	}
	for i := range senders {
		if n := len(acked[i]) + len(reported[i]); n != signals {
			t.Errorf("sender %d: %d signals are accounted for, want %d", i+1, n, signals)
		}
		for _, id := range acked[i] {
			if byID[id] == 0 {
				t.Errorf("signal %s was acknowledged and never handled (S4)", id)
			}
		}
		for _, err := range reported[i] {
			t.Errorf("sender %d: %v, though the receiver runs and the time has not run out (S1)", i+1, err)
		}
	}
	t.Logf("%d signals handled by %d incarnations in %d calls", len(byID), kills+1, len(handled))
}
