package coord_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// heartbeatOf is the one that stands.
func heartbeatOf(t *testing.T, st store.Store, id string) *envelope.Heartbeat {
	t.Helper()
	ring := must(envelope.NewRing(coord.DefaultNamespace, envelope.Key{Secret: secret}))
	value := must(st.Get(t.Context(), keys.In(coord.DefaultNamespace).Heartbeat(id)))
	return must(envelope.OpenHeartbeat(ring, id, value))
}

// Others can see in a heartbeat what somebody is blocked on, and that it is over.
func TestHeartbeatsTellWhatSomebodyWaitsFor(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v := memstore.New(), &validators{}
		v.join(t, st, "v1", "yes")
		a := joinOn(t, st, "a", fast)
		began := time.Now().UTC()
		waited := waiting(t.Context(), a, coord.From("b", "c", "not an id"), coord.OfType("wake"), coord.Within(time.Minute))
		gathered := make(chan error)
		go func() {
			_, err := gather(t, a, "r-1", coord.To("v1", "v2"), coord.Within(time.Minute))
			gathered <- err
		}()
		served := make(chan error)
		go func() { served <- a.Serve(t.Context(), echo, coord.OfType("once"), coord.Once()) }()
		time.Sleep(3 * time.Second)
		want := []envelope.Blocked{
			{On: []string{"b", "c"}, Types: []string{"wake"}, Since: began},
			{Types: []string{"once"}, Since: began},
			{On: []string{"v2"}, Round: "r-1", Since: began},
		}
		same := func(x, y envelope.Blocked) bool {
			return slices.Equal(x.On, y.On) && slices.Equal(x.Types, y.Types) && x.Round == y.Round && x.Since.Equal(y.Since)
		}
		if got := heartbeatOf(t, st, "a").Waits; !slices.EqualFunc(got, want, same) {
			t.Errorf("it tells\n%+v, want\n%+v", got, want)
		}
		if w := heartbeatOf(t, st, "v1").Waits; w != nil {
			t.Errorf("who serves waits for %+v", w)
		}
		b := joinOn(t, st, "b", fast)
		must(b.Post(t.Context(), "a", "wake", nil))
		must(b.Post(t.Context(), "a", "once", nil))
		if r, err := <-waited, <-served; r.err != nil || err != nil {
			t.Error(r.err, err)
		}
		if err := <-gathered; !errors.Is(err, coord.ErrTimeout) {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		if w := heartbeatOf(t, st, "a").Waits; w != nil {
			t.Errorf("it still waits for %+v", w)
		}
	})
}

// Once: one signal that fits is handled, the others stay; what is put off comes again.
func TestServeOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		st := memstore.New()
		a, b := joinOn(t, st, "a", fast), joinOn(t, st, "b", fast)
		for _, typ := range []string{"other", "wake", "wake"} {
			must(b.Post(t.Context(), "a", typ, []byte(typ)))
		}
		calls := 0
		handler := func(context.Context, *coord.Signal) ([]byte, error) {
			if calls++; calls == 1 {
				return nil, coord.ErrLater
			}
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := a.Serve(ctx, handler,
			coord.OfType("wake"), coord.From("b"), coord.Once(), coord.Workers(4))
		if err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
		time.Sleep(2 * time.Second) // what was put off is back
		for _, want := range []string{"other", "wake"} {
			if s, ok := a.TryWait(t.Context()); !ok || s.Type != want {
				t.Errorf("there is %+v, want %s", s, want)
			}
		}
		if s, ok := a.TryWait(t.Context()); ok {
			t.Errorf("there is %+v", s)
		}
	})
}
