// Command consensus is a Product Owner that waits for four validators, each a process of its own, over Redis. One of them
// is killed while it reviews, one is slow: the Product Owner gets three answers, learns who is missing and why, and
// decides once.
//
//	go run ./examples/consensus                        with REDIS_URL, or a redis-server on the PATH
//	go run ./examples/consensus -redis redis://host:6379/0
//
// It ends by itself, after a quarter of a minute.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// Task is the question and Review the answer.
type (
	Task   struct{ Change string }
	Review struct {
		Confidence float64
		Remark     string
	}
)

var validators = []string{"validator-1", "validator-2", "validator-3", "validator-4"}

const (
	doomed = "validator-3" // never gets done, and is killed
	slow   = "validator-4"
)

func main() {
	url := flag.String("redis", os.Getenv("REDIS_URL"), "where the Redis is; a redis-server is started if empty")
	as := flag.String("as", "", "which process this is; by default the one that starts the others")
	flag.Parse()
	if err := run(*url, *as, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "consensus:", err)
		os.Exit(1)
	}
}

func run(url, as string, out io.Writer) error {
	switch as {
	case "":
		return direct(url, out)
	case "product-owner":
		return withClient(url, func(ctx context.Context, c *coord.Client) error { return own(ctx, c, out) })
	}
	return withClient(url, func(ctx context.Context, c *coord.Client) error { return validate(ctx, c, as, out) })
}

// withClient opens this process's part in the namespace that the first process has made up.
func withClient(url string, f func(context.Context, *coord.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	st, err := redisstore.Open(ctx, url)
	if err != nil {
		return err
	}
	defer st.Close()
	c, err := coord.Open(breaker.Wrap(st), coord.Config{
		Secret: []byte(os.Getenv(secretName)), Namespace: os.Getenv(namespaceName), Policy: coord.FastPolicy(),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	return f(ctx, c)
}

// own is the Product Owner.
func own(ctx context.Context, c *coord.Client, out io.Writer) error {
	watch, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); _ = c.Monitor().Run(watch) }() // or nobody would learn of a death
	defer func() { stop(); <-watched }()

	po, err := c.Join(ctx, "product-owner")
	if err != nil {
		return err
	}
	task := Task{Change: "move the login to the new service"}
	r, err := coord.Gather[Review](ctx, po, "loop-2", task, coord.To(validators...), coord.Within(time.Minute))
	if err != nil && !errors.Is(err, coord.ErrIncomplete) {
		return err
	}
	n, sum := 0, 0.0
	for id, review := range r.Answers() {
		fmt.Fprintf(out, "%s: %.2f, %s\n", id, review.Confidence, review.Remark)
		n, sum = n+1, sum+review.Confidence
	}
	for _, m := range r.Missing() {
		fmt.Fprintf(out, "%s is missing: %s, %s\n", m.ID, m.State, m.Reason)
	}
	outcome := "DEFER"
	if n >= 3 && sum/float64(n) >= 0.8 {
		outcome = "PROCEED"
	}
	d, err := r.Decide(ctx, outcome, fmt.Sprintf("%d of %d validators, confidence %.2f", n, len(validators), sum/float64(n)))
	if err == nil {
		fmt.Fprintf(out, "decided: %s, %s\n", d.Outcome, d.Reason)
	}
	return err
}

// validate is a validator. It serves until it is stopped.
func validate(ctx context.Context, c *coord.Client, id string, out io.Writer) error {
	v, err := c.Join(ctx, id)
	if err != nil {
		return err
	}
	return v.Serve(ctx, coord.Answer(func(ctx context.Context, q Task, _ *coord.Signal) (Review, error) {
		fmt.Fprintln(out, id, "reviews")
		switch id {
		case doomed:
			<-ctx.Done()
			return Review{}, coord.ErrLater
		case slow:
			time.Sleep(3 * time.Second)
			return Review{0.75, "could be smaller"}, nil
		}
		return Review{0.9, "fine: " + q.Change}, nil
	}))
}

func secret() string { return rand.Text() + rand.Text() }
