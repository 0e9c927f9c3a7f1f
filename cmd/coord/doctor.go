package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/store/redisstore"
)

type doctorCmd struct {
	Timeout time.Duration `default:"5s" help:"How long the whole examination may take."`
}

// symptom is one line of doctor.
type symptom struct {
	Subject  string `json:"subject"`
	Severity string `json:"severity"`
	Detail   string `json:"detail"`
	Advice   string `json:"advice,omitempty"`
}

// Run examines the store and the secret; a fail among the findings is exit code 1.
func (c *doctorCmd) Run(a *app) error {
	driver, err := a.openStore()
	if err != nil {
		return err
	}
	defer func() { _ = driver.Close() }()
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	failed := 0
	for _, f := range append(driver.Check(ctx), a.checkSecret()...) {
		s := symptom{f.Subject, string(f.Severity), f.Detail, f.Advice}
		if err := a.say(s.text(), s); err != nil {
			return err
		}
		if f.Severity == redisstore.Fail {
			failed++
		}
	}
	if failed > 0 {
		return &failure{code: exitError, line: fmt.Sprintf("%d of the checks failed", failed)}
	}
	return nil
}

func (s *symptom) text() string {
	line := fmt.Sprintf("%-5s %-12s %s", s.Severity, s.Subject, oneLine(s.Detail))
	if s.Advice != "" {
		line += ": " + oneLine(s.Advice)
	}
	return line
}

// checkSecret says how strong the secret looks, and nothing else about it.
func (a *app) checkSecret() []redisstore.Finding {
	ring, err := loadKeys(a.SecretFile)
	if err == nil {
		_, err = envelope.NewRing(a.Namespace, ring...) // as everybody makes one of it
	}
	if err != nil {
		return []redisstore.Finding{{Subject: "secret", Severity: redisstore.Fail, Detail: err.Error()}}
	}
	var found []redisstore.Finding
	for i, k := range ring {
		found = append(found, strength(i, len(ring), k))
	}
	if info, err := os.Stat(a.SecretFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		found = append(found, redisstore.Finding{
			Subject: "secret", Severity: redisstore.Warn,
			Detail: fmt.Sprintf("others may read or write the file (mode %v)", info.Mode().Perm()), Advice: "chmod 600",
		})
	}
	return found
}

// fewBytes is how many different bytes 32 random hex digits have at the least, for all practical purposes.
const fewBytes = 8

func strength(i, of int, k coord.Key) redisstore.Finding {
	different := map[byte]bool{}
	for _, b := range k.Secret {
		different[b] = true
	}
	detail := fmt.Sprintf("key %d of %d: %d bytes", i+1, of, len(k.Secret))
	if len(different) < fewBytes {
		return redisstore.Finding{
			Subject: "secret", Severity: redisstore.Warn, Detail: fmt.Sprintf("%s, only %d different ones", detail, len(different)),
			Advice: "take a random one: openssl rand -hex 32",
		}
	}
	return redisstore.Finding{Subject: "secret", Severity: redisstore.OK, Detail: detail}
}
