package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Severity says how much a Finding matters.
type Severity string

// Severities of a Finding.
const (
	OK   Severity = "ok"
	Warn Severity = "warn" // a promise may not hold, or we were not allowed to look
	Fail Severity = "fail" // a promise does not hold
)

// Finding is one answer of Check.
type Finding struct {
	Subject  string // what was looked at: "reachable", "version", "role", "persistence", "eviction", "clock", "client"
	Severity Severity
	Detail   string // what was found
	Advice   string // what to do about it; empty where Severity is OK
}

// clockTolerance is how far clocks may be apart before a signal can look as if it came from the future.
const clockTolerance = 5 * time.Second

// Check looks at what of the server's settings decides over coord's promises. The first finding is whether the server is
// reachable; where it is not, it is the only one. In Cluster one node is asked. It changes nothing.
func (s *Store) Check(ctx context.Context) []Finding {
	start := time.Now()
	if err := s.Ping(ctx); err != nil {
		return []Finding{{"reachable", Fail, err.Error(), "check the address, the credentials and whether the server runs"}}
	}
	found := []Finding{{"reachable", OK, fmt.Sprintf("answered in %v", time.Since(start).Round(10*time.Microsecond)), ""}}
	found = append(found, s.checkVersion(ctx), s.checkRole(ctx), s.checkPersistence(ctx), s.checkEviction(ctx), s.checkClock(ctx))
	for _, r := range s.risks {
		found = append(found, Finding{"client", Warn, r, "change the option, or let redisstore.Open make the client"})
	}
	return found
}

func (s *Store) checkVersion(ctx context.Context) Finding {
	const subject = "version"
	info, err := s.info(ctx, "server")
	if err != nil {
		return unseen(subject, err, "INFO")
	}
	version := infoField(info, "redis_version")
	if !atLeast(version, 6, 2) {
		return Finding{subject, Warn, "Redis " + version, "use 6.2 or later: older ones are not tested"}
	}
	return Finding{subject, OK, "Redis " + version, ""}
}

// checkRole: a replica answers whoever reads, and takes no write that lasts.
func (s *Store) checkRole(ctx context.Context) Finding {
	const subject = "role"
	info, err := s.info(ctx, "replication")
	if err != nil {
		return unseen(subject, err, "INFO")
	}
	if infoField(info, "role") == "slave" {
		return Finding{subject, Fail, "a replica", "nothing can be written there: give the address of the primary"}
	}
	return Finding{subject, OK, "a primary", ""}
}

func (s *Store) info(ctx context.Context, section string) (info string, err error) {
	err = s.ask(ctx, "INFO", func(ctx context.Context, c redis.UniversalClient) (err error) {
		info, err = c.Info(ctx, section).Result()
		return err
	})
	return info, err
}

// atLeast compares the first two numbers of a version.
func atLeast(version string, major, minor int) bool {
	parts := append(strings.SplitN(version, ".", 3), "", "")
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a > major || a == major && b >= minor
}

func (s *Store) checkPersistence(ctx context.Context) Finding {
	const subject = "persistence"
	config, err := s.config(ctx, "append*")
	if err != nil {
		return unseen(subject, err, "CONFIG GET")
	}
	detail := "appendonly " + config["appendonly"] + ", appendfsync " + config["appendfsync"]
	switch {
	case config["appendonly"] != "yes":
		return Finding{subject, Fail, detail, "a restart loses acknowledged signals: set appendonly yes and appendfsync always"}
	case config["appendfsync"] != "always":
		return Finding{subject, Warn, detail, "a crash loses the writes of the last second: set appendfsync always"}
	}
	return Finding{subject, OK, detail, ""}
}

func (s *Store) checkEviction(ctx context.Context) Finding {
	const subject = "eviction"
	config, err := s.config(ctx, "maxmemory*")
	if err != nil {
		return unseen(subject, err, "CONFIG GET")
	}
	policy := config["maxmemory-policy"]
	detail := "maxmemory-policy " + policy
	switch {
	case policy == "noeviction":
		return Finding{subject, OK, detail, ""}
	case config["maxmemory"] == "0":
		return Finding{subject, Warn, detail + ", no maxmemory", "should a limit be set, keys vanish silently: set maxmemory-policy noeviction"}
	}
	return Finding{subject, Fail, detail, "a full server drops keys silently: set maxmemory-policy noeviction"}
}

// checkClock compares with the middle of the trip. No verdict of coord depends on wall clocks; the age of a signal does.
func (s *Store) checkClock(ctx context.Context) Finding {
	const subject = "clock"
	var theirs time.Time
	before := time.Now()
	err := s.ask(ctx, "TIME", func(ctx context.Context, c redis.UniversalClient) (err error) {
		theirs, err = c.Time(ctx).Result()
		return err
	})
	if err != nil {
		return unseen(subject, err, "TIME")
	}
	trip := time.Since(before)
	offset := theirs.Sub(before.Add(trip / 2)).Round(time.Millisecond)
	detail := fmt.Sprintf("the server is %v ahead of this machine (± %v)", offset, (trip / 2).Round(10*time.Microsecond))
	if offset.Abs() > clockTolerance {
		return Finding{subject, Warn, detail, "synchronize the clocks: signals more than 5 minutes ahead are refused"}
	}
	return Finding{subject, OK, detail, ""}
}

func (s *Store) config(ctx context.Context, pattern string) (config map[string]string, err error) {
	err = s.ask(ctx, "CONFIG GET", func(ctx context.Context, c redis.UniversalClient) (err error) {
		config, err = c.ConfigGet(ctx, pattern).Result()
		return err
	})
	return config, err
}

func unseen(subject string, err error, command string) Finding {
	return Finding{subject, Warn, err.Error(), "could not look: allow " + command + ", or check by hand"}
}
