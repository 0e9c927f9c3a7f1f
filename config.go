package coord

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/mailbox"
	"github.com/blocking-coordination/coord/store"
)

// Defaults of a Config.
const (
	DefaultNamespace    = "blocking"
	DefaultTimeout      = 600 * time.Second
	DefaultPoll         = time.Second
	DefaultMailboxLimit = 1024
)

// Config is what Open needs to know. Secret (or Keys) must be given; everything else has a default.
type Config struct {
	// Secret signs and verifies: at least 32 bytes, the same in every process of the namespace. It is copied.
	Secret []byte
	// Keys are a key ring instead of Secret, for rotation without a pause: the first signs, all verify.
	Keys []Key
	// Namespace separates systems that share a store: it is the prefix of every key, by default "blocking".
	Namespace string

	// Policy says when a coordinator beats and when silence counts; by default DefaultPolicy.
	Policy Policy
	// Timeout bounds a Wait or Send that sets no own with Within; 600 s by default.
	Timeout time.Duration
	// Poll is how often a process with something to wait for looks at the store, whatever the hints say; 1 s by
	// default. It bounds the latency when every hint is lost.
	Poll time.Duration
	// MailboxLimit is how many signals one coordinator may have un-acknowledged at one receiver; 1024 by default.
	MailboxLimit int

	// Clock is the only source of time; by default the store's own clock, or else the system's.
	Clock store.Clock
	// Observer is told what happens; by default nobody.
	Observer Observer
	// Logger gets a line for what is worth one; silent by default.
	Logger *slog.Logger

	// AcceptLegacy also reads the one-slot-per-receiver format of earlier systems. Its signature covers neither the
	// payload nor the place, so a signal may be handed over again by whoever can write to the store.
	AcceptLegacy bool
	// EmitLegacy posts in that format instead: one slot per receiver, the last signal wins, no payload, no result.
	EmitLegacy bool
	// AllowUnsigned accepts unsigned legacy signals too, from anybody who can write to the store. Needs AcceptLegacy.
	AllowUnsigned bool
}

// Key is one secret of a key ring. It is never printed.
type Key = envelope.Key

// resolved is a Config in which nothing is left open.
type resolved struct {
	Config
	ring  *envelope.Ring
	space keys.Space
	times mailbox.Times
	now   func() time.Time // Clock.Now
}

func (cfg Config) resolve(st store.Store) (*resolved, error) {
	cfg.Namespace = cmp.Or(cfg.Namespace, DefaultNamespace)
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	cfg.Poll = cmp.Or(cfg.Poll, DefaultPoll)
	cfg.MailboxLimit = cmp.Or(cfg.MailboxLimit, DefaultMailboxLimit)
	cfg.Policy = cfg.Policy.withDefaults()
	if cfg.Clock == nil {
		cfg.Clock = store.CapabilitiesOf(st).Clock
	}
	if cfg.Clock == nil {
		cfg.Clock = store.SystemClock
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	ring, err := envelope.NewRing(cfg.Namespace, cfg.ring()...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	cfg.Secret, cfg.Keys = nil, nil // the ring alone knows them from here on
	return &resolved{Config: cfg, ring: ring, space: keys.In(cfg.Namespace), times: mailbox.DefaultTimes, now: cfg.Clock.Now}, nil
}

func (cfg *Config) ring() []Key {
	if len(cfg.Keys) > 0 {
		return cfg.Keys
	}
	return []Key{{Secret: cfg.Secret}}
}

func (cfg *Config) check() error {
	switch {
	case len(cfg.Secret) > 0 && len(cfg.Keys) > 0:
		return errors.New("give either Secret or Keys")
	case len(cfg.Secret) == 0 && len(cfg.Keys) == 0:
		return errors.New("no Secret: signals must be signed")
	case cfg.Timeout < 0 || cfg.Poll < 0 || cfg.MailboxLimit < 0:
		return errors.New("Timeout, Poll and MailboxLimit must not be negative")
	case cfg.AllowUnsigned && !cfg.AcceptLegacy:
		return errors.New("AllowUnsigned needs AcceptLegacy")
	}
	if err := keys.CheckID(cfg.Namespace); err != nil {
		return fmt.Errorf("namespace: %w", err)
	}
	return cfg.Policy.check()
}
