package breaker_test

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// property runs check on drawn plans, each in a bubble of its own where time is fake.
func property(t *testing.T, check func(build, plan) error) {
	rapid.Check(t, func(rt *rapid.T) {
		p := plans.Draw(rt, "plan")
		rapid.SyncTest(rt, func(rt *rapid.T) {
			if err := check(wrap, p); err != nil {
				rt.Fatal(err)
			}
		})
	})
}

func TestB1StatesOfTheBreaker(t *testing.T)            { property(t, checkB1) }
func TestB2ScheduleOfALoneOperation(t *testing.T)      { property(t, checkB2) }
func TestB3OpenFailsAtOnce(t *testing.T)               { property(t, checkB3) }
func TestB4ContextEndsInABackoff(t *testing.T)         { property(t, checkB4) }
func TestB5WhatNeverTrips(t *testing.T)                { property(t, checkB5) }
func TestB6BeatsNeverQueueBehindABackoff(t *testing.T) { property(t, checkB6) }

// finds reports whether check fails b on one of some plans.
func finds(t *testing.T, check func(build, plan) error, b build) (err error) {
	for seed := 0; seed < 200 && err == nil; seed++ {
		p := plans.Example(seed)
		synctest.Test(t, func(*testing.T) { err = check(b, p) })
	}
	return err
}
