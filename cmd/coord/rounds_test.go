package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Rounds of four validators, each killed and started again at random, by a Product Owner who is killed too: every round
// settles, and every given answer is in the result.
func TestRoundsUnderKills(t *testing.T) {
	t.Parallel()
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("COORD_ROUNDS")); err == nil {
		rounds = n
	}
	u, _ := onRedis(t)
	members := []string{"v1", "v2", "v3", "v4"}
	over := make(chan struct{})
	var keepers sync.WaitGroup
	var validators atomic.Int64 // killed
	defer keepers.Wait()
	defer close(over)
	for _, id := range members {
		keepers.Go(func() { keepAlive(u, id, &validators, over) })
	}
	owners := 0 // killed
	for i := range rounds {
		args := []string{"gather", "--id", "po", "--round", fmt.Sprint("r-", i), "--to", "v1,v2,v3,v4", "--payload", fmt.Sprint("q", i)}
		killed := u.start(args...)
		select {
		case <-killed.gone:
		case <-time.After(time.Millisecond << rand.N(7)):
			_ = killed.cmd.Process.Kill()
			<-killed.gone
			owners++
		}
		checkRound(t, u.must(args...), fmt.Sprint("q", i))
		checkRound(t, u.must(args...), fmt.Sprint("q", i)) // and so it stays
	}
	t.Logf("%d rounds: killed %d Product Owners and %d validators", rounds, owners, validators.Load())
}

// keepAlive kills id now and then, and starts it again.
func keepAlive(u *user, id string, killed *atomic.Int64, over <-chan struct{}) {
	for {
		p := u.start("serve", "--id", id, "--exec", "cat")
		select {
		case <-time.After(rand.N(600 * time.Millisecond)):
		case <-over:
		}
		_ = p.cmd.Process.Kill()
		<-p.gone
		select {
		case <-over:
			return
		default:
			killed.Add(1)
		}
	}
}

func checkRound(t *testing.T, out, question string) {
	t.Helper()
	var r roundSoFar
	if err := json.Unmarshal([]byte(out), &r); err != nil || !r.Complete || len(r.Members) != 4 {
		t.Fatalf("%q: %v", out, err)
	}
	for _, m := range r.Members {
		if m.Answer == nil || *m.Answer != question {
			t.Errorf("%s of %s: %+v", m.ID, question, m)
		}
	}
}
