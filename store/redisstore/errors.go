package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

// marks are what a server says where trying again does not help. They are looked for anywhere in an answer, since an
// error inside a script arrives wrapped in other words by every version.
var marks = []struct {
	text string
	is   error
}{
	{"WRONGTYPE ", store.ErrWrongType},
	{"value is not an integer or out of range", store.ErrNotInteger},
	{"increment or decrement would overflow", store.ErrNotInteger},
	{"invalid expire time", store.ErrInvalidTTL},
	{"NOAUTH ", store.ErrDenied},
	{"WRONGPASS ", store.ErrDenied},
	{"NOPERM ", store.ErrDenied},
	{"DENIED ", store.ErrDenied},                             // protected mode
	{"without any password configured", store.ErrDenied},     // a password for a server that has none
	{"invalid password", store.ErrDenied},                    // before 6.0
	{"The user executing the script can't", store.ErrDenied}, // an ACL inside a script
	{"DB index is out of range", store.ErrDenied},
	{"SELECT is not allowed in cluster mode", store.ErrDenied},
}

// classify returns err, wrapped in the error of package store that it means, if any. LOADING, MASTERDOWN, CLUSTERDOWN,
// TRYAGAIN, READONLY, OOM and whatever happens to a connection pass as they are: they may be over in a moment.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, redis.Nil) {
		return store.ErrNotFound
	}
	if answer, ok := errors.AsType[redis.Error](err); ok {
		for _, m := range marks {
			if strings.Contains(answer.Error(), m.text) {
				return fmt.Errorf("%w: %w", m.is, err)
			}
		}
	}
	if isTLSMismatch(err) {
		return fmt.Errorf("%w: TLS: %w", store.ErrDenied, err)
	}
	return err
}

// isTLSMismatch: a server without TLS, or one that we do not trust, is a matter of configuration.
func isTLSMismatch(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

// errNoAnswer is not context.DeadlineExceeded: the caller's context is in order, the server is not.
var errNoAnswer = errors.New("no answer in time")

// failure says what failed, on which key, and why; never a value.
func failure(ctx context.Context, op, key string, err error) error {
	err = classify(err)
	switch {
	case err == nil || err == store.ErrNotFound:
		return err
	case store.Permanent(err):
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case isTimeout(err) && isOver(ctx):
		err = context.DeadlineExceeded // the socket noticed before the context's timer did
	case isTimeout(err):
		err = fmt.Errorf("%w (%v)", errNoAnswer, err)
	}
	if key == "" {
		return fmt.Errorf("redisstore: %s: %w", op, err)
	}
	return fmt.Errorf("redisstore: %s %q: %w", op, key, err)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func isOver(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	return ok && !time.Now().Before(at)
}
