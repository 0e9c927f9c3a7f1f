package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdWatch is one key for each way, which the other side watches.
func etcdWatch(e env) (ping, func(), error) {
	if e.etcd == "" {
		return nil, nil, fmt.Errorf("%w: there is no etcd on PATH", errMissing)
	}
	ctx, cancel := context.WithCancel(context.Background())
	there, err1 := dialEtcd(e.etcd)
	back, err2 := dialEtcd(e.etcd)
	if err := errors.Join(err1, err2); err != nil {
		cancel()
		return nil, nil, err
	}
	questions, answers := back.Watch(ctx, "ping", clientv3.WithCreatedNotify()), there.Watch(ctx, "pong", clientv3.WithCreatedNotify())
	<-questions // the watch stands
	<-answers
	go func() {
		for range questions {
			_, _ = back.Put(ctx, "pong", "x")
		}
	}()
	return func(ctx context.Context) error {
		if _, err := there.Put(ctx, "ping", "x"); err != nil {
			return err
		}
		select {
		case <-answers:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func() { cancel(); _ = there.Close(); _ = back.Close() }, nil
}

func dialEtcd(url string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{url}, DialTimeout: 5 * time.Second})
}
