package detect

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	type step struct {
		at    int
		blind bool // a failed look instead
		want  int  // the length after it
	}
	for name, steps := range map[string][]step{
		"it grows from look to look":             {{10, false, 10}, {20, false, 20}, {40, false, 40}},
		"a gap of more than the limit":           {{10, false, 10}, {31, false, 10}, {41, false, 20}},
		"a gap of exactly the limit":             {{10, false, 10}, {30, false, 30}},
		"a failed look":                          {{10, false, 10}, {15, true, 10}, {20, false, 10}, {25, false, 15}},
		"failed looks":                           {{5, true, 0}, {15, true, 0}, {20, false, 0}, {30, false, 10}},
		"an hour away, and a failed look at its": {{10, false, 10}, {3600, true, 10}, {3610, false, 10}, {3620, false, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			var s span
			s.restart(at(0))
			for _, x := range steps {
				if s.blind = s.blind || x.blind; !x.blind {
					s.look(at(x.at), 20*time.Second)
				}
				if got := s.length(); got != time.Duration(x.want)*time.Second {
					t.Fatalf("at %d: %v, want %ds", x.at, got, x.want)
				}
			}
		})
	}
	var s span
	if s.begun() {
		t.Error("the zero span has begun")
	}
	s.restart(at(0))
	s.look(at(10), time.Minute)
	if s.atMost(20 * time.Second); s.length() != 10*time.Second {
		t.Error("atMost makes longer")
	}
	if s.atMost(3 * time.Second); s.length() != 3*time.Second {
		t.Error("atMost does not shorten")
	}
}
