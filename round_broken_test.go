package coord_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/store"
)

// broken says what of v1's is broken: keys that hold junk, or that cannot be read for the reason given.
type broken struct {
	junk    func(round string) string
	key     func(round string) string
	why     error
	verdict string // of v1, where it is asked
	reason  string // that the Gather gives for v1's silence
}

func brokenKeys() map[string]broken {
	space := keys.In(coord.DefaultNamespace)
	reply := func(round string) keys.Decide { return space.RoundReply("po", round, "v1") }
	decision := func(round string) string { return reply(round).Decision() }
	ack := func(round string) string { return space.Ack("po", space.Question("po", round, "v1")) }
	always := func(key string) func(string) string { return func(string) string { return key } }
	return map[string]broken{
		"its reply":                    {junk: decision, reason: "verify"},
		"its reply, of another type":   {key: decision, why: store.ErrWrongType, reason: "another type"},
		"its ACK, of another type":     {key: ack, why: store.ErrWrongType, reason: "another type"},
		"the agreement on its reply":   {junk: func(round string) string { return reply(round).Counter() }, verdict: "yes", reason: "integer"},
		"its mailbox":                  {junk: always(space.Mailbox("v1").Tail), reason: "could not be asked"},
		"its number":                   {junk: always(space.Incarnation("v1")), reason: "integer"},
		"its number, of another type":  {key: always(space.Incarnation("v1")), why: store.ErrWrongType, reason: "another type"},
		"its death":                    {junk: always(space.Dead("v1", 1).Decision()), reason: "verify"},
		"its heartbeat, of some other": {key: always(space.Heartbeat("v1")), why: store.ErrWrongType, reason: "another type"},
	}
}

// during breaks it for a round, as the asker sees it.
func (b broken) during(t *testing.T, st *unsteady, round string) *hooked {
	if b.junk != nil {
		if err := st.SetEX(t.Context(), b.junk(round), []byte("junk"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	return &hooked{st, func(_ context.Context, key string) error {
		if b.key != nil && key == "get "+b.key(round) {
			return b.why
		}
		return nil
	}}
}

// S7: whatever of one member is broken, the others are asked and their answers count at once; and it is named with the
// reason.
func TestGatherOneBrokenKey(t *testing.T) {
	for name, b := range brokenKeys() {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, v := newUnsteady(), &validators{}
				v.join(t, st, "v1", b.verdict)
				v.join(t, st, "v2", "yes")
				po, began := joinOn(t, b.during(t, st, "r-1"), "po", fast), time.Now()
				to, minute := coord.To("v1", "v2"), coord.Within(time.Minute)
				_, err := gather(t, po, "r-1", to, coord.Until(coord.Any()), minute)
				if took := time.Since(began); err != nil || took > 2*time.Second {
					t.Fatalf("after %v: %v", took, err)
				}
				r, err := gather(t, po, "r-1", to, minute)
				if !errors.Is(err, coord.ErrTimeout) || errors.Is(err, coord.ErrUnavailable) {
					t.Error(err)
				}
				checkStates(t, r, map[string]coord.MemberState{"v1": silent, "v2": answered})
				if m := r.Missing(); len(m) != 1 || !strings.Contains(m[0].Reason, b.reason) {
					t.Errorf("%+v", m)
				}
			})
		})
	}
}

// That access is denied is no one member's trouble.
func TestGatherDenied(t *testing.T) {
	in(t, func(t *testing.T) {
		b := brokenKeys()["its ACK, of another type"]
		b.why = store.ErrDenied
		po, began := joinOn(t, b.during(t, newUnsteady(), "r-1"), "po", fast), time.Now()
		_, err := gather(t, po, "r-1", coord.To("v1", "v2"))
		if took := time.Since(began); !errors.Is(err, store.ErrDenied) || took > time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// S7: one broken key hides nobody else's death.
func TestGatherADeathBesideABrokenKey(t *testing.T) {
	in(t, func(t *testing.T) {
		doomed, st, v := newUnsteady(), newUnsteady(), &validators{}
		doomed.inner.Store(st.inner.Load())
		v.join(t, st, "v1", "")
		v.join(t, doomed, "v2", "")
		v.join(t, st, "v3", "yes")
		watching(t, st)
		time.AfterFunc(2*time.Second, func() { doomed.down.Store(true) })
		po, began := joinOn(t, brokenKeys()["its reply"].during(t, st, "r-1"), "po", fast), time.Now()
		to, instead := coord.To("v1", "v2"), coord.Substitute(func(id string) string {
			return map[string]string{"v2": "v3"}[id]
		})
		r, err := gather(t, po, "r-1", to, coord.OnDeath(instead), coord.Until(coord.Any()), coord.Within(time.Hour))
		if took := time.Since(began); err != nil || took > 15*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		checkStates(t, r, map[string]coord.MemberState{"v1": silent, "v2": dead, "v3": answered})
	})
}

// What was broken and is mended is asked then, once.
func TestGatherWhatIsMendedIsAsked(t *testing.T) {
	for _, name := range []string{"its reply", "its mailbox"} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				st, v, b := newUnsteady(), &validators{}, brokenKeys()[name]
				v.join(t, st, "v1", "yes")
				v.join(t, st, "v2", "yes")
				po, began := joinOn(t, b.during(t, st, "r-1"), "po", fast), time.Now()
				time.AfterFunc(10*time.Second, func() { must(st.Expire(context.Background(), b.junk("r-1"), 0)) })
				_, err := gather(t, po, "r-1", coord.To("v1", "v2"), coord.Within(time.Hour))
				if took := time.Since(began); err != nil || took > 15*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				if want := map[string]int{"r-1 v1/1": 1, "r-1 v2/1": 1}; !maps.Equal(v.all(), want) {
					t.Errorf("asked: %v", v.all())
				}
			})
		})
	}
}

// S7: one that leaves its signals lying is asked when there is room; the others at once.
func TestGatherAFullMailbox(t *testing.T) {
	in(t, func(t *testing.T) {
		st, v, cfg := newUnsteady(), &validators{}, fast
		cfg.MailboxLimit = 1
		v.join(t, st, "v2", "yes")
		po := joinOn(t, st, "po", cfg)
		if _, err := po.Post(t.Context(), "v1", "wake", nil); err != nil {
			t.Fatal(err)
		}
		to := coord.To("v1", "v2")
		r, err := gather(t, po, "r-1", to, coord.Until(coord.Any()))
		if err != nil || !strings.Contains(fmt.Sprint(r.Missing()), "could not be asked: "+coord.ErrMailboxFull.Error()) {
			t.Errorf("%v: %+v", err, r.Missing())
		}
		time.AfterFunc(10*time.Second, func() {
			b := joinOn(t, st, "v1", fast)
			_, _ = b.Wait(context.Background(), coord.OfType("wake"))
			v.serve(t, b, "yes")
		})
		if _, err := gather(t, po, "r-1", to, coord.Within(time.Hour)); err != nil {
			t.Error(err)
		}
	})
}
