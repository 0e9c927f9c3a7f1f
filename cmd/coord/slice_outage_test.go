package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/redistest"
)

// A slice ends about when it should, though the store goes away in the middle of it, and says what it would have said.
func TestSliceHoldsWhenTheStoreGoesAway(t *testing.T) {
	t.Parallel()
	for how, away := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "stopped": (*redistest.Server).Stop} {
		for what, args := range map[string][]string{
			"wait":   {"wait", "--id", "b", "--name", "w", "--slice", "3s"},
			"gather": {"gather", "--id", "po", "--round", "r", "--to", "v1,v2", "--slice", "3s"},
		} {
			t.Run(what+" "+how, func(t *testing.T) {
				t.Parallel()
				u, server := onRedis(t)
				u.env = append(u.env, "COORD_BEAT=200ms")
				began := time.Now()
				p := u.start(args...)
				eventually(t, func() error {
					if u.must("waits") == "WHO  WAITS FOR  WHAT  SINCE  HOW\n" {
						return fmt.Errorf("it does not wait yet")
					}
					return nil
				})
				away(server)
				code := p.code(t)
				took := time.Since(began)
				if code != exitWaiting || took > 7*time.Second {
					t.Errorf("exit code %d after %v: %s", code, took, &p.err)
				}
				if what == "gather" {
					expect(t, code, exitWaiting, soFar(t, p.out.String()), "false false: v1 open, v2 open")
				}
			})
		}
	}
}
