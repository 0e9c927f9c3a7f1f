package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
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
	defer keepers.Wait()
	defer close(over)
	for _, id := range members {
		keepers.Go(func() { keepAlive(u, id, over) })
	}
	for i := range rounds {
		args := []string{"gather", "--id", "po", "--round", fmt.Sprint("r-", i), "--to", "v1,v2,v3,v4", "--payload", fmt.Sprint("q", i)}
		killed := u.start(args...)
		select {
		case <-killed.gone:
		case <-time.After(rand.N(600 * time.Millisecond)):
			_ = killed.cmd.Process.Kill()
			<-killed.gone
		}
		checkRound(t, u.must(args...), fmt.Sprint("q", i))
		checkRound(t, u.must(args...), fmt.Sprint("q", i)) // and so it stays
	}
}

// keepAlive kills id now and then, and starts it again.
func keepAlive(u *user, id string, over <-chan struct{}) {
	for {
		p := u.start("serve", "--id", id, "--exec", "cat")
		select {
		case <-time.After(300*time.Millisecond + rand.N(3*time.Second)):
		case <-over:
		}
		_ = p.cmd.Process.Kill()
		<-p.gone
		select {
		case <-over:
			return
		default:
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
