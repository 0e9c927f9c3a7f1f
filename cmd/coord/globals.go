package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store/redisstore"
)

const defaultStore = "redis://127.0.0.1:6379/0"

// globals are the flags of every command.
type globals struct {
	Store      string `env:"COORD_STORE,REDIS_URL" placeholder:"URL" help:"redis:// or rediss:// URL; the password also by REDIS_PASSWORD (default ${default_store})."`
	Namespace  string `default:"blocking" help:"Prefix of every key: separates systems that share a store."`
	SecretFile string `placeholder:"FILE" help:"The secret, or lines 'kid: secret' of which the first signs; instead of BLOCKING_COORDINATION_SECRET. A plain secret has the kid 1, so in a ring it is the line '1: SECRET'."`
	Output     string `enum:"text,json" default:"text" help:"text or json (one object per line)."`

	Preset string        `enum:"default,fast" default:"default" help:"How often to beat and when silence counts: default or fast."`
	Beat   time.Duration `help:"Time between two heartbeats, if not the preset's."`
	TTL    time.Duration `name:"ttl" help:"How long a heartbeat stands, if not the preset's."`
	Stale  time.Duration `help:"The silence that earns the first warning, if not the preset's."`

	Spacing time.Duration `help:"Time between two warnings, if not the preset's."`
	Check   time.Duration `help:"Time between two looks of a monitor, if not the preset's, or half of --ttl where that is less."`

	AcceptLegacy  bool `help:"Also take signals from the one-slot format of earlier systems."`
	EmitLegacy    bool `help:"Send in that format: one slot per receiver, the last signal wins, no payload."`
	AllowUnsigned bool `help:"Take unsigned signals in that format too. Needs --accept-legacy."`
}

// Validate is called by kong. What is empty is what is not set: a library would take it for its own default, and the
// commands that look at the store themselves would not.
func (g *globals) Validate() error {
	g.Store, g.Namespace = cmp.Or(g.Store, os.Getenv("REDIS_URL")), cmp.Or(g.Namespace, coord.DefaultNamespace)
	if g.AllowUnsigned && !g.AcceptLegacy {
		return errors.New("--allow-unsigned needs --accept-legacy")
	}
	return checkID("--namespace", g.Namespace)
}

// checkID leaves what is missing to kong, which asks for it afterwards, and to Join.
func checkID(flag, id string) error {
	if err := keys.CheckID(id); err != nil && id != "" {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// policy is the preset with what was set by hand. Silence counts no earlier than a heartbeat's end.
func (g *globals) policy() coord.Policy {
	p := coord.DefaultPolicy()
	if g.Preset == "fast" {
		p = coord.FastPolicy()
	}
	p.Beat, p.TTL = cmp.Or(g.Beat, p.Beat), cmp.Or(g.TTL, p.TTL)
	p.Stale = max(cmp.Or(g.Stale, p.Stale), p.TTL)
	p.Spacing, p.Check = cmp.Or(g.Spacing, p.Spacing), cmp.Or(g.Check, min(p.Check, p.TTL/2)) // a beat must be seen
	p.Window = max(p.Window, time.Duration(p.Warnings)*(p.Spacing+2*p.Check))
	return p
}

// config is what the client needs to know but for who watches it.
func (g *globals) config() (coord.Config, error) {
	ring, err := loadKeys(g.SecretFile)
	return coord.Config{
		Keys: ring, Namespace: g.Namespace, Policy: g.policy(),
		AcceptLegacy: g.AcceptLegacy, EmitLegacy: g.EmitLegacy, AllowUnsigned: g.AllowUnsigned,
	}, err
}

// openStore checks the URL and returns the driver, which does not connect yet.
func (a *app) openStore() (*redisstore.Store, error) {
	redis.SetLogger(silence{})
	if err := a.checkScheme(); err != nil {
		return nil, err
	}
	return redisstore.Open(a.ctx, a.url(), redisstore.WithPassword(a.password()))
}

func (g *globals) url() string { return cmp.Or(g.Store, defaultStore) }

func (g *globals) checkScheme() error {
	scheme, _, _ := strings.Cut(g.url(), ":")
	switch scheme {
	case "redis", "rediss", "unix":
		return nil
	case "mem":
		return errors.New("mem: lives inside one process, so nobody else could see a signal in it: " +
			"use redis://host:port/db, or try coord demo")
	}
	return errors.New("unknown store: want a redis:// or rediss:// URL in --store, COORD_STORE or REDIS_URL")
}

// password is REDIS_PASSWORD, unless the URL has one of its own.
func (g *globals) password() string {
	if u, err := url.Parse(g.url()); err == nil {
		if _, has := u.User.Password(); has {
			return ""
		}
	}
	return os.Getenv("REDIS_PASSWORD")
}

// place is the store's address without anything secret in it.
func (g *globals) place() string {
	u, err := url.Parse(g.url())
	if err != nil {
		return "the store"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
