package main

import (
	"context"
	"fmt"
	"os"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/breaker"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// receiverEnv makes the test binary a receiver that appends a line "incarnation id" to the file of that name for every
// signal that it handles, until it is killed. The store is in storeEnv.
const (
	receiverEnv = "COORD_TEST_RECEIVER"
	storeEnv    = "COORD_TEST_STORE"
	receiverID  = "receiver"
)

func receive() int {
	if err := receiveInto(os.Getenv(receiverEnv), os.Getenv(storeEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func receiveInto(file, url string) error {
	ctx := context.Background()
	log, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := redisstore.Open(ctx, url)
	if err != nil {
		return err
	}
	c, err := coord.Open(breaker.Wrap(st), coord.Config{Secret: []byte(testSecret)})
	if err != nil {
		return err
	}
	me, err := c.Join(ctx, receiverID)
	if err != nil {
		return err
	}
	return me.Serve(ctx, func(_ context.Context, s *coord.Signal) ([]byte, error) {
		_, err := fmt.Fprintf(log, "%d %s\n", me.Incarnation(), s.ID)
		return nil, err
	}, coord.Workers(4))
}
