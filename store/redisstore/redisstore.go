// Package redisstore keeps the state of coord in Redis or Valkey (6.2 or later), through go-redis.
//
// Open connects to one server by URL, with settings that suit coordination: nothing is ever sent twice, and everything
// has a deadline. New takes a client that exists, also one for Cluster or Sentinel, and says in Risks what about it
// endangers the promises. Every command of this driver is sent at most once whatever the client's settings say.
//
// The server's own settings decide what an acknowledged write is worth: see Store.Check.
package redisstore

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

var (
	_ store.Store     = (*Store)(nil)
	_ store.Capable   = (*Store)(nil)
	_ store.Batcher   = (*Store)(nil)
	_ store.Appender  = (*Store)(nil)
	_ store.LateIndex = (*Store)(nil)
	_ store.Hinter    = (*Store)(nil)
	_ store.Notifier  = (*Store)(nil)
)

// Store is a store.Store on Redis. Make it with Open or New, and Close it. It is safe for concurrent use.
//
// An operation ends at the deadline of its context, or after the operation timeout (see WithTimeout), whichever comes
// first. A cancelled context does not interrupt an answer that is being waited for: that ends with the timeout.
//
// On a single server, operations of callers that are busy at the same time leave together in one pipeline. One without a
// deadline may then take two timeouts: that of the trip which it had to wait for, and that of its own. Nobody is kept
// beyond his deadline, and who has less than half a timeout left goes alone.
type Store struct {
	driver // the operations, on the pool that everybody shares

	hints *hints
	news  *notices
	once  *onceView
	risks []string
	close sync.Once
}

// onceView is the same store for beats and monitors: a pool of its own, so that they never queue behind bulk.
type onceView struct{ driver }

// Capabilities implements store.Capable. Hints and Once are the business of the Store itself.
func (v *onceView) Capabilities() store.Capabilities {
	return store.Capabilities{Batch: v, Append: v, Late: v}
}

// Open returns a Store for the server at url: redis://[[user]:password@]host[:port][/db], rediss:// for TLS, or
// unix://[[user]:password@]/path. Options of the URL's query are those of redis.ParseURL, but for retries and timeouts,
// which are this package's business.
//
// Open does not connect: a server that is down at the moment is no error, since waits outlast outages; see Ping. A
// malformed URL is an error at once. No error contains the password.
func Open(_ context.Context, url string, opts ...Option) (*Store, error) {
	set := newSettings(opts)
	o, err := parse(url, set)
	if err != nil {
		return nil, err
	}
	main := newLink(func() redis.UniversalClient { return redis.NewClient(clone(o, mainPool)) })
	once := newLink(func() redis.UniversalClient { return redis.NewClient(clone(o, oncePool)) })
	return build(set, main, once), nil
}

// New returns a Store on client, which stays the caller's: Close does not close it. Its risky settings are reported by
// Risks, and once to the logger of WithLogger. Once shares client's pool.
//
// Where the server of a *redis.Client turns read-only, because another one was made the primary, the connection that met
// it and the idle ones are dropped, so that client looks its server's name up again; a connection that was in use just
// then follows when it is next written on. Open replaces all of them at once.
func New(client redis.UniversalClient, opts ...Option) *Store {
	set := newSettings(opts)
	borrowed := borrow(client, set.timeout)
	s := build(set, borrowed, borrowed)
	s.risks = risks(client, set.timeout)
	for _, r := range s.risks {
		set.log.Warn("redisstore: risky client setting", "risk", r)
	}
	return s
}

func build(set settings, main, once *link) *Store {
	s := &Store{news: &notices{}}
	s.driver.init(main, set.timeout)
	if set.combine {
		s.driver.combine()
	}
	s.once = &onceView{}
	s.once.driver.init(once, set.timeout)
	s.hints = newHints(main, s.news, set)
	main.onDemoted, once.onDemoted = s.renew, s.renew
	return s
}

// renew: a server that turned read-only is a demoted one. Whoever noticed it, nobody may go on reading from it.
func (s *Store) renew() {
	if s.driver.link.renew() {
		s.once.driver.link.renew()
		s.hints.reconnect()
	}
}

// Capabilities implements store.Capable: everything but a clock, for Redis servers lend none.
func (s *Store) Capabilities() store.Capabilities {
	return store.Capabilities{Batch: s, Append: s, Hints: s, Late: s, Once: s.once, Notices: s}
}

// Risks returns a sentence for each setting of New's client that endangers a promise of coord; none for Open's.
func (s *Store) Risks() []string { return append([]string(nil), s.risks...) }

// Ping asks the server for a sign of life. store.ErrDenied means wrong credentials.
func (s *Store) Ping(ctx context.Context) error {
	return s.ask(ctx, "PING", func(ctx context.Context, c redis.UniversalClient) error { return c.Ping(ctx).Err() })
}

// Close ends the subscription and its goroutines and, where Open made them, the connections. Operations that are under
// way fail. Closing twice does nothing.
func (s *Store) Close() (err error) {
	s.close.Do(func() {
		s.hints.close()
		err = errors.Join(s.driver.link.close(), s.once.driver.link.close())
	})
	return err
}

// Publish implements store.Hinter.
func (s *Store) Publish(ctx context.Context, channel string, payload []byte) error {
	return s.do(ctx, "PUBLISH", channel, publishCmd(ctx, channel, payload))
}

// Subscribe implements store.Hinter. The first subscription opens the connection, the last cancel closes it. Neither
// call waits for the server.
func (s *Store) Subscribe(channel string, fn func(payload []byte)) (cancel func()) {
	return s.hints.subscribe(channel, fn)
}

// Notify implements store.Notifier: failures and recoveries of the subscription's connection, and NoticeRegressed where
// the server behind a new connection is not the process that it was before, or does not say; in Cluster also, about ten
// seconds later at most, where any master is another process than before. Without a subscription there is nothing to
// notice. Operations report their own errors.
func (s *Store) Notify(fn func(store.Notice)) (cancel func()) { return s.news.notify(fn) }
