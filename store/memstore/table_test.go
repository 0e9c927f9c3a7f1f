package memstore

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Nobody asks for the dead again, and yet they go: otherwise a mailbox that is only written fills the memory.
func TestSweepKeepsTheDeadFew(t *testing.T) {
	const living = 1000 // at any moment
	clock := NewFakeClock(time.Time{})
	s := New(WithClock(clock))
	for i := range 50 * living {
		if err := s.SetEX(t.Context(), fmt.Sprint(i), nil, living*time.Second); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		if n := len(s.keys.all); n > 3*living {
			t.Fatalf("after %d writes the store holds %d keys, of which %d live", i, n, living)
		}
	}
}

// The slice and the map hold the same entries, each where it says it stands.
func TestTableStaysConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := table{byKey: map[string]*entry{}}
		now := int64(0)
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				table.findOrAdd(key.Draw(t, "key"), now).deadline = now + rapid.Int64Range(0, 9).Draw(t, "ttl")
			},
			"find":  func(t *rapid.T) { table.find(key.Draw(t, "key"), now) },
			"pass":  func(t *rapid.T) { now += rapid.Int64Range(0, 5).Draw(t, "d") },
			"sweep": func(t *rapid.T) { table.sweep(now) },
			"":      func(t *rapid.T) { consistent(t, &table) },
		})
	})
}

func consistent(t *rapid.T, table *table) {
	if len(table.all) != len(table.byKey) {
		t.Fatalf("%d entries in the slice, %d in the map", len(table.all), len(table.byKey))
	}
	for i, e := range table.all {
		if e.place != i || table.byKey[e.key] != e {
			t.Fatalf("entry %q at %d says %d", e.key, i, e.place)
		}
	}
}

func TestCanonical(t *testing.T) {
	for value, want := range map[string]bool{
		"0": true, "-1": true, "10": true, "9223372036854775807": true, "-9223372036854775808": true,
		"": false, "-": false, "-0": false, "+1": false, "01": false, "00": false, " 1": false, "1_0": false, "0x1": false,
		"9223372036854775808": false,
	} {
		if _, ok := canonical([]byte(value)); ok != want {
			t.Errorf("canonical(%q) = %t", value, ok)
		}
	}
}
