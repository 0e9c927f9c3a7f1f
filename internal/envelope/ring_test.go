package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func TestNewRingChecksItsKeys(t *testing.T) {
	weak := Key{ID: "a", Secret: testSecret[:31]}
	good := Key{ID: "b", Secret: testSecret}
	for name, c := range map[string]struct {
		keys []Key
		want error
	}{
		"none":            {nil, ErrInvalidKey},
		"lone":            {[]Key{{Secret: testSecret}}, nil},
		"31 bytes":        {[]Key{weak}, ErrWeakSecret},
		"nil secret":      {[]Key{{ID: "a"}}, ErrWeakSecret},
		"weak behind":     {[]Key{good, weak}, ErrWeakSecret},
		"no id among two": {[]Key{good, {Secret: testSecret}}, ErrInvalidKey},
		"twice":           {[]Key{good, good}, ErrInvalidKey},
		"quote":           {[]Key{{ID: `a","x":"`, Secret: testSecret}}, ErrInvalidKey},
		"colon":           {[]Key{{ID: "a:b", Secret: testSecret}}, ErrInvalidKey},
		"long":            {[]Key{{ID: strings.Repeat("a", 129), Secret: testSecret}}, ErrInvalidKey},
		"two":             {[]Key{good, {ID: "c", Secret: testSecret}}, nil},
	} {
		if _, err := NewRing("blocking", c.keys...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNewRingErrorsHoldNoSecret(t *testing.T) {
	for _, k := range []Key{{ID: "hunter2 is not an id", Secret: testSecret}, {ID: "a", Secret: []byte("hunter2")}} {
		if _, err := NewRing("blocking", k); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestRingKeepsNoneOfTheCallersMemory(t *testing.T) {
	secret := bytes.Clone(testSecret)
	keys := []Key{{ID: "a", Secret: secret}}
	r := newTestRing(t, "blocking", keys...)
	clear(secret)
	keys[0] = Key{}
	same := newTestRing(t, "blocking", Key{ID: "a", Secret: testSecret})
	slot, _ := AppendLegacy(nil, r, "a", "b", "c", testTime)
	if _, err := OpenLegacy(same, "b", slot, testTime, false); err != nil {
		t.Errorf("legacy: %v", err)
	}
	if _, err := OpenSignal(same, "coord-b", seal(t, r, testSignal())); err != nil {
		t.Error(err)
	}
}

// TestRotation goes through add, use and retire with old and new rings alive at once.
func TestRotation(t *testing.T) {
	old, fresh := Key{ID: "1", Secret: testSecret}, Key{ID: "2", Secret: bytes.Repeat([]byte("n"), 32)}
	before, added := newTestRing(t, "blocking", old), newTestRing(t, "blocking", old, fresh)
	used, retired := newTestRing(t, "blocking", fresh, old), newTestRing(t, "blocking", fresh)
	for name, c := range map[string]struct {
		from, to *Ring
		want     Reason
	}{
		"before to added": {before, added, ""}, "added to before": {added, before, ""},
		"added to used": {added, used, ""}, "used to added": {used, added, ""},
		"used to retired": {used, retired, ""}, "retired to used": {retired, used, ""},
		"before to retired": {before, retired, UnknownKey}, "used to before": {used, before, UnknownKey},
	} {
		_, err := OpenSignal(c.to, "coord-b", seal(t, c.from, testSignal()))
		if wantReason(t, err, c.want); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestSameKeyIDOtherSecret: a kid is a name, not a credential.
func TestSameKeyIDOtherSecret(t *testing.T) {
	other := newTestRing(t, "blocking", Key{Secret: bytes.Repeat([]byte("x"), 32)})
	_, err := OpenSignal(other, "coord-b", seal(t, newTestRing(t, "blocking"), testSignal()))
	wantReason(t, err, Forged)
}

func TestNothingPrintsASecret(t *testing.T) {
	k := Key{ID: "kid-7", Secret: testSecret}
	r := newTestRing(t, "name-space", k)
	type exported struct {
		K  Key
		R  *Ring
		Ks []Key
		M  map[string]Key
	}
	type hidden struct{ r *Ring } // fmt calls no method of an unexported field
	for _, v := range []any{k, &k, r, *r, []Key{k}, exported{k, r, []Key{k}, map[string]Key{"k": k}}, hidden{r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10v"} {
			wantRedacted(t, verb, fmt.Sprintf(verb, v))
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		wantRedacted(t, "json", string(data))
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("", "v", v, slog.Group("g", "v", v))
		wantRedacted(t, "slog", buf.String())
	}
	if k.String() != redacted || k.GoString() != redacted || r.String() != redacted || r.GoString() != redacted {
		t.Error("String or GoString shows more")
	}
	if got := fmt.Sprintf("%+v %#v", k, r); got != "[redacted] [redacted]" {
		t.Error(got)
	}
}

// wantRedacted looks for the secret as text, in hex, in base64 and as a list of numbers.
func wantRedacted(t *testing.T, how, got string) {
	t.Helper()
	for _, leak := range []string{"s3cret", "733363726574", "czNjcmV0", "115 51 99", "0x73, 0x33", "kid-7"} {
		if strings.Contains(strings.ToLower(got), strings.ToLower(leak)) {
			t.Errorf("%s shows %s", how, got)
		}
	}
}

func TestRingIsSafeForConcurrentUse(t *testing.T) {
	r := newTestRing(t, "blocking")
	want := string(seal(t, r, testSignal()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				data := seal(t, r, testSignal())
				if _, err := OpenSignal(r, "coord-b", data); err != nil || string(data) != want {
					t.Errorf("%v: %s", err, data)
				}
			}
		})
	}
	wg.Wait()
}
