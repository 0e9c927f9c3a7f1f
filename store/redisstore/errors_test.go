package redisstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// answer is what a server said.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestClassify(t *testing.T) {
	t.Parallel()
	permanent := []struct {
		err  error
		want error
	}{
		{redis.Nil, store.ErrNotFound},
		{answer("WRONGTYPE Operation against a key holding the wrong kind of value"), store.ErrWrongType},
		{answer("ERR value is not an integer or out of range"), store.ErrNotInteger},
		{answer("ERR value is not an integer or out of range script: 9f, on @user_script:3."), store.ErrNotInteger},
		{answer("ERR Error running script (call to f_9f): @user_script:3: ERR value is not an integer or out of range"), store.ErrNotInteger},
		{answer("ERR increment or decrement would overflow"), store.ErrNotInteger},
		{answer("ERR invalid expire time in 'set' command"), store.ErrInvalidTTL},
		{answer("NOAUTH Authentication required."), store.ErrDenied},
		{answer("WRONGPASS invalid username-password pair or user is disabled."), store.ErrDenied},
		{answer("NOPERM this user has no permissions to run the 'get' command"), store.ErrDenied},
		{answer("DENIED Redis is running in protected mode"), store.ErrDenied},
		{answer("ERR DB index is out of range"), store.ErrDenied},
		{answer("ERR AUTH <password> called without any password configured for the default user."), store.ErrDenied},
	}
	for _, c := range permanent {
		if got := classify(c.err); !errors.Is(got, c.want) || !store.Permanent(got) {
			t.Errorf("classify(%q) = %v, want %v", c.err, got, c.want)
		}
	}
	transient := []error{
		answer("LOADING Redis is loading the dataset in memory"), answer("MASTERDOWN Link with MASTER is down"),
		answer("CLUSTERDOWN The cluster is down"), answer("TRYAGAIN Multiple keys request during rehashing of slot"),
		answer("READONLY You can't write against a read only replica."), answer("OOM command not allowed"),
		answer("BUSY Redis is busy running a script"), answer("NOREPLICAS Not enough good replicas to write."),
		io.EOF, redis.ErrPoolTimeout, redis.ErrClosed, errors.New("WRONGTYPE, but not said by the server"),
	}
	for _, err := range transient {
		if got := classify(err); got != err {
			t.Errorf("classify(%q) = %v, want it as it is", err, got)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, m := range marks {
		f.Add(m.text)
	}
	f.Add("READONLY You can't write against a read only replica.")
	f.Fuzz(func(t *testing.T, text string) {
		err := answer(text)
		got := classify(err)
		if !errors.Is(got, err) {
			t.Fatalf("classify(%q) = %v has lost the answer", text, got)
		}
		if store.Permanent(got) != (got != error(err)) {
			t.Fatalf("classify(%q) = %v: changed, but not permanent", text, got)
		}
		if again := classify(got); store.Permanent(again) != store.Permanent(got) {
			t.Fatalf("classify twice: %v, then %v", got, again)
		}
	})
}

func TestFailureNamesKeyAndCause(t *testing.T) {
	t.Parallel()
	shutDown := errors.New("shut down")
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(shutDown)
	late, cancelLate := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancelLate()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want error
		text string
	}{
		{context.Background(), io.EOF, io.EOF, `redisstore: GET "k": EOF`},
		{context.Background(), context.DeadlineExceeded, errNoAnswer, `redisstore: GET "k": no answer in time`},
		{ended, io.EOF, shutDown, `redisstore: GET "k": shut down`},
		{ended, answer("WRONGTYPE x"), store.ErrWrongType, `redisstore: GET "k": store: key holds`},
		{late, context.DeadlineExceeded, context.DeadlineExceeded, `redisstore: GET "k": context deadline`},
	} {
		got := failure(c.ctx, "GET", "k", c.err)
		if !errors.Is(got, c.want) || !strings.HasPrefix(got.Error(), c.text) {
			t.Errorf("failure(%v) = %v, want %q", c.err, got, c.text)
		}
	}
	if err := failure(context.Background(), "GET", "k", context.DeadlineExceeded); errors.Is(err, context.DeadlineExceeded) {
		t.Error("our own time-out looks like the caller's deadline")
	}
}
