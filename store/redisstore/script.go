package redisstore

import (
	"context"
	"crypto/sha1"
	_ "embed" // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/store"
)

//go:embed append.lua
var appendSource string

//go:embed touch.lua
var touchSource string

// script is a text that the server keeps under its digest.
type script struct{ source, digest string }

var (
	appendScript = newScript(appendSource)
	touchScript  = newScript(touchSource)
)

func newScript(source string) script {
	sum := sha1.Sum([]byte(source))
	return script{source, hex.EncodeToString(sum[:])}
}

// command calls the script by text or by digest.
func (s script) command(ctx context.Context, how string, keys []string, args []any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	text := s.digest
	if how == "eval" {
		text = s.source
	}
	all = append(all, how, text, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return redis.NewCmd(ctx, append(all, args...)...)
}

// errNoScripts is ErrUnsupported for those who have another way, and denied for those who count failures.
var errNoScripts = fmt.Errorf("the server refuses scripts: %w (%w)", errors.ErrUnsupported, store.ErrDenied)

// run calls the script by its digest, and by its text where the server does not know it: then nothing has happened yet.
// A server that refuses scripts is not asked again.
func (d *driver) run(ctx context.Context, op string, s script, keys []string, args ...any) (*redis.Cmd, error) {
	if d.noScripts.Load() {
		return nil, failure(ctx, op, keys[0], errNoScripts)
	}
	cmd := s.command(ctx, "evalsha", keys, args)
	d.send(ctx, cmd)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = s.command(ctx, "eval", keys, args)
		d.send(ctx, cmd)
	}
	if refusesScripts(cmd.Err()) {
		d.noScripts.Store(true)
		return nil, failure(ctx, op, keys[0], errNoScripts)
	}
	return cmd, failure(ctx, op, keys[0], cmd.Err())
}

// refusesScripts tells a refusal of the command from one of a key in it.
func refusesScripts(err error) bool {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	text := strings.ToLower(answer.Error())
	named := strings.Contains(text, "'eval") || strings.Contains(text, "`eval")
	return named && (strings.HasPrefix(text, "noperm ") || strings.HasPrefix(text, "err unknown command"))
}
