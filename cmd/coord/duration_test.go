package main

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
	}{
		{"10000", 10 * time.Second}, {"0", 0}, {"1", time.Millisecond}, {"600000", 600 * time.Second},
		{"600s", 600 * time.Second}, {"1m30s", 90 * time.Second}, {"250ms", 250 * time.Millisecond}, {"1.5h", 90 * time.Minute},
		{"0s", 0}, {"9223372036854", 9223372036854 * time.Millisecond},
	} {
		if got, err := parseDuration(c.in); got != c.want || err != nil {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "10x", "-1", "-5s", "ten", "1.5", " 5", "9223372036855", "99999999999999999999", "1h-5s"} {
		if got, err := parseDuration(bad); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", bad, got)
		}
	}
}

func TestDurationsForPeople(t *testing.T) {
	for _, c := range []struct {
		d     time.Duration
		human string
		brief string
	}{
		{10 * time.Second, "10s", "10s"}, {600 * time.Second, "10m", "10m"}, {90 * time.Second, "1m30s", "1m30s"},
		{time.Hour, "1h", "1h"}, {24 * time.Hour, "24h", "24h"}, {1500 * time.Millisecond, "1.5s", "1.5s"}, {0, "0s", "0s"},
		{3541234 * time.Nanosecond, "3.541234ms", "3.54ms"}, {225678 * time.Nanosecond, "225.678µs", "226µs"},
		{13*time.Second + 7*time.Millisecond, "13.007s", "13s"}, {time.Hour + 30*time.Second, "1h0m30s", "1h0m30s"},
	} {
		if human(c.d) != c.human || brief(c.d) != c.brief {
			t.Errorf("%d: human %q, brief %q; want %q, %q", c.d, human(c.d), brief(c.d), c.human, c.brief)
		}
	}
}
