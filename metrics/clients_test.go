package metrics_test

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/metrics"
	"github.com/blocking-coordination/coord/store/memstore"
)

// open opens a Client that o observes.
func open(t *testing.T, namespace string, o coord.Observer) *coord.Client {
	t.Helper()
	c, err := coord.Open(memstore.New(), coord.Config{
		Secret: []byte("a test's secret of at least 32 b."), Namespace: namespace, Observer: o, MailboxLimit: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestTwoClientsAddUp: namespaces know nothing of each other's ids and incarnations.
func TestTwoClientsAddUp(t *testing.T) {
	o, reg := newObserver(t)
	var members []*coord.Coordinator
	for _, namespace := range []string{"one", "two"} {
		a, err := open(t, namespace, o).Join(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, a)
	}
	for i, want := range []float64{2, 1, 0} {
		if n := samples(t, reg)["active_coordinators"]; n != want {
			t.Errorf("%v active after %d left, want %v", n, i, want)
		}
		if i < len(members) {
			_ = members[i].Leave(t.Context())
		}
	}
}

// TestWhoLeftCountsNoMore: of two of one name, one is suspended. Whichever ends, the other is counted for what it is, at the
// latest from its next change on.
func TestWhoLeftCountsNoMore(t *testing.T) {
	one := coord.Joined{ID: "a", Incarnation: 1}
	out, back := coord.Suspended(one), coord.Resumed(one)
	for name, c := range map[string]struct {
		events []coord.Event
		want   float64
	}{
		"one is suspended":                   {[]coord.Event{one, one, out}, 1},
		"it leaves":                          {[]coord.Event{one, one, out, coord.Left(one)}, 1},
		"it is fenced":                       {[]coord.Event{one, one, out, coord.Fenced(one)}, 1},
		"the other leaves, and it resumes":   {[]coord.Event{one, one, out, coord.Left(one), back}, 1},
		"the other leaves, and it leaves":    {[]coord.Event{one, one, out, coord.Left(one), coord.Left(one)}, 0},
		"both are, and one of them resumes":  {[]coord.Event{one, one, out, out, back}, 1},
		"both are, one leaves, one resumes":  {[]coord.Event{one, one, out, out, coord.Left(one), back}, 1},
		"it joins again after all have left": {[]coord.Event{one, out, coord.Left(one), one}, 1},
	} {
		if n := rise(t, c.events...)["active_coordinators"]; n != c.want {
			t.Errorf("%s: %v active, want %v", name, n, c.want)
		}
	}
}

// TestWhyASendFailed: what a caller gave up is not the store's failure, whatever cause the caller names.
func TestWhyASendFailed(t *testing.T) {
	o, reg := newObserver(t)
	a, err := open(t, "one", o).Join(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutting down"))
	_, _ = a.Send(ended, "b", "wake", nil)
	_, _ = a.Post(ended, "b", "wake", nil)
	_, _ = a.Send(t.Context(), "b", "wake", nil, coord.Within(0))
	_, _ = a.Post(t.Context(), "b", "wake", nil)
	_, _ = a.Post(t.Context(), "b", "wake", nil)
	got := map[string]float64{}
	for name, v := range samples(t, reg) {
		if len(name) > len(failures) && name[:len(failures)] == failures && v > 0 {
			got[name[len(failures):]] = v
		}
	}
	if want := map[string]float64{"cancelled}": 2, "timeout}": 1, "full}": 1}; !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestNothingIsTheDefault, or an error, and no panic later on.
func TestNothingIsTheDefault(t *testing.T) {
	o, reg := newObserver(t, metrics.WithClock(nil))
	o.Observe(coord.WaitStarted{Wait: 1})
	if n := samples(t, reg)["blocking_coordination_waiting"]; n != 1 {
		t.Errorf("%v waiting", n)
	}
	if o, err := metrics.New(nil); err == nil || o != nil {
		t.Errorf("got %v, %v", o, err)
	}
}
