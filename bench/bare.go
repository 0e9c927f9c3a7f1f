package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// bare is the yardstick: go-redis's publish and subscribe there and back, with its default settings, unsigned and kept
// nowhere. direct reads with ReceiveMessage instead of Channel.
func (s *server) bare(pairs int, direct bool) (*contender, error) {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := s.connect(), s.connect()
	c := &contender{name: "go-redis, bare publish/subscribe", pairs: pairs}
	if direct {
		c.name += ", ReceiveMessage"
	}
	answers := make([]func() error, pairs)
	for i := range pairs {
		ping, pong := fmt.Sprint("ping:", i, direct), fmt.Sprint("pong:", i, direct)
		questions, err := listen(ctx, back, ping, direct)
		if err != nil {
			cancel()
			return nil, err
		}
		if answers[i], err = listen(ctx, there, pong, direct); err != nil {
			cancel()
			return nil, err
		}
		go func() {
			for questions() == nil {
				back.Publish(ctx, pong, "x")
			}
		}()
	}
	c.ping = func(ctx context.Context, pair int) error {
		if err := there.Publish(ctx, fmt.Sprint("ping:", pair, direct), "x").Err(); err != nil {
			return err
		}
		return answers[pair]()
	}
	c.close = func() { cancel(); _ = there.Close(); _ = back.Close() }
	return c, nil
}

func (s *server) connect() *redis.Client { return redis.NewClient(&redis.Options{Addr: s.addr}) }

// listen subscribes and returns what waits for the next message.
func listen(ctx context.Context, c *redis.Client, channel string, direct bool) (func() error, error) {
	sub := c.Subscribe(ctx, channel)
	if _, err := sub.Receive(ctx); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = sub.Close() })
	if direct {
		return func() error { _, err := sub.ReceiveMessage(ctx); return err }, nil
	}
	messages := sub.Channel()
	return func() error {
		if _, ok := <-messages; !ok {
			return errors.New("closed")
		}
		return nil
	}, nil
}

// streams is the durable way of Redis itself, unsigned: XADD and a blocking XREAD, where everybody keeps his own place;
// or XREADGROUP and XACK, which do the same job as a signal with its ACK.
func (s *server) streams(groups bool) *contender {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := s.connect(), s.connect()
	name, read, pre := "Redis streams, XADD and XREAD", reader, "stream"
	if groups {
		name, read, pre = "Redis streams, XADD, XREADGROUP and XACK", groupReader, "group"
	}
	questions, answers := read(back, pre+":ping"), read(there, pre+":pong")
	go func() {
		for questions(ctx) == nil {
			_ = add(ctx, back, pre+":pong")
		}
	}()
	ping := func(ctx context.Context, _ int) error {
		if err := add(ctx, there, pre+":ping"); err != nil {
			return err
		}
		return answers(ctx)
	}
	return &contender{
		name: name, pairs: 1, ping: ping,
		close: func() { cancel(); _ = there.Close(); _ = back.Close() },
	}
}

func add(ctx context.Context, c *redis.Client, stream string) error {
	return c.XAdd(ctx, &redis.XAddArgs{Stream: stream, MaxLen: 1000, Approx: true, Values: []string{"x", "x"}}).Err()
}

// reader reads the next entry. It begins at 0, which the first is above.
func reader(c *redis.Client, stream string) func(context.Context) error {
	last := "0"
	return func(ctx context.Context) error {
		got, err := c.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, last}, Count: 1, Block: time.Minute}).Result()
		if err != nil {
			return err
		}
		last = got[0].Messages[0].ID
		return nil
	}
}

// groupReader reads the next entry and acknowledges it.
func groupReader(c *redis.Client, stream string) func(context.Context) error {
	_ = c.XGroupCreateMkStream(context.Background(), stream, "group", "0").Err() // a failure shows in the first read
	args := &redis.XReadGroupArgs{Group: "group", Consumer: "one", Streams: []string{stream, ">"}, Count: 1, Block: time.Minute}
	return func(ctx context.Context) error {
		got, err := c.XReadGroup(ctx, args).Result()
		if err != nil {
			return err
		}
		return c.XAck(ctx, stream, "group", got[0].Messages[0].ID).Err()
	}
}

// lists is a queue in a list: LPUSH and BLPOP. What was popped is gone, whatever happens to who popped it.
func (s *server) lists() *contender {
	ctx, cancel := context.WithCancel(context.Background())
	there, back := s.connect(), s.connect()
	go func() {
		for back.BLPop(ctx, time.Minute, "list:ping").Err() == nil {
			back.LPush(ctx, "list:pong", "x")
		}
	}()
	ping := func(ctx context.Context, _ int) error {
		there.LPush(ctx, "list:ping", "x")
		return there.BLPop(ctx, time.Minute, "list:pong").Err()
	}
	return &contender{
		name: "Redis lists, LPUSH and BLPOP", pairs: 1, ping: ping,
		close: func() { cancel(); _ = there.Close(); _ = back.Close() },
	}
}

// raw is the floor: publish and subscribe over four sockets, with no client library.
func (s *server) raw() (*contender, error) {
	questions, err := dialRaw(s.addr, "raw:ping")
	if err != nil {
		return nil, err
	}
	answers, err := dialRaw(s.addr, "raw:pong")
	if err != nil {
		return nil, err
	}
	there, err := dialRaw(s.addr, "")
	if err != nil {
		return nil, err
	}
	back, err := dialRaw(s.addr, "")
	if err != nil {
		return nil, err
	}
	go func() {
		for questions.message() == nil {
			_ = back.publish("raw:pong")
		}
	}()
	ping := func(context.Context, int) error {
		if err := there.publish("raw:ping"); err != nil {
			return err
		}
		return answers.message()
	}
	all := []*rawConn{questions, answers, there, back}
	return &contender{name: "raw RESP publish/subscribe", pairs: 1, ping: ping, close: func() {
		for _, c := range all {
			_ = c.conn.Close()
		}
	}}, nil
}

// rawConn speaks just enough RESP.
type rawConn struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialRaw(addr, subscribe string) (*rawConn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &rawConn{conn, bufio.NewReader(conn)}
	if subscribe == "" {
		return c, nil
	}
	if _, err = fmt.Fprintf(conn, "SUBSCRIBE %s\r\n", subscribe); err == nil {
		err = c.message()
	}
	return c, err
}

// message reads one array of three parts: the kind, the channel, and the payload or the count.
func (c *rawConn) message() error {
	if _, err := c.line(); err != nil {
		return err
	}
	for range 3 {
		head, err := c.line()
		if err != nil {
			return err
		}
		if head[0] == '$' {
			n, _ := strconv.Atoi(string(head[1:]))
			if _, err := io.CopyN(io.Discard, c.in, int64(n)+2); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *rawConn) line() ([]byte, error) {
	b, err := c.in.ReadSlice('\n')
	if err != nil || len(b) < 3 {
		return nil, fmt.Errorf("strange answer %q: %w", b, err)
	}
	return b[:len(b)-2], nil
}

func (c *rawConn) publish(channel string) error {
	_, err := fmt.Fprintf(c.conn, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$1\r\nx\r\n", len(channel), channel)
	if err == nil {
		_, err = c.line()
	}
	return err
}
