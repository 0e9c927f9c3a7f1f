package breaker

import (
	"math"
	"testing"
	"time"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	want := newConfig(nil)
	got := newConfig([]Option{
		nil, Retries(-1), Delays(0, -1), FailureThreshold(0), FailureThreshold(math.MinInt), OpenTime(0), OpenTime(-1),
		AttemptTimeout(0), AttemptTimeout(-1), KeysTimeout(0), KeysTimeout(math.MinInt64),
	})
	if got != want {
		t.Errorf("got %+v", got)
	}
}

func TestOptions(t *testing.T) {
	got := newConfig([]Option{
		Retries(0), Delays(3*time.Second, time.Second), FailureThreshold(math.MaxInt), OpenTime(math.MaxInt64),
		AttemptTimeout(1), KeysTimeout(2),
	})
	want := config{0, 3 * time.Second, 3 * time.Second, math.MaxInt32, math.MaxInt64, 1, 2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSchedule(t *testing.T) {
	tests := []struct {
		name string
		opts []Option
		want []time.Duration
	}{
		{"default", nil, []time.Duration{1e9, 2e9, 4e9, 8e9, -1}},
		{"longer", []Option{Retries(6)}, []time.Duration{1e9, 2e9, 4e9, 8e9, 8e9, 8e9, -1}},
		{"none", []Option{Retries(0)}, []time.Duration{-1}},
		{"odd limit", []Option{Delays(2e9, 5e9), Retries(3)}, []time.Duration{2e9, 4e9, 5e9, -1}},
		{"huge", []Option{Delays(math.MaxInt64, 1), Retries(2)}, []time.Duration{math.MaxInt64, math.MaxInt64, -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newGate(newConfig(tt.opts), &notices{}).schedule(t.Context())
			b.Reset()
			for i, want := range tt.want {
				if got := b.NextBackOff(); got != want {
					t.Errorf("pause %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}
