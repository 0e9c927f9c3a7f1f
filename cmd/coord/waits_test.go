package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.env = append(u.env, "COORD_BEAT=200ms")
	expect(t, 0, 0, u.must("waits"), "WHO  WAITS FOR  WHAT  SINCE  HOW\n")
	u.start("run", "--id", "a", "--from", "b", "--type", "done,failed")
	u.start("wait", "--id", "b", "--from", "a", "--name", "w", "--slice", "5m")
	u.start("run", "--id", "c")
	u.start("run", "--id", "d", "--from", "a,b")
	u.start("serve", "--id", "v1", "--exec", "cat")
	u.start("gather", "--id", "po", "--round", "r-1", "--to", "v1,v2,v3", "--payload", "q")
	u.must("send", "--from", "x", "--to", "v2", "--no-wait")
	u.must("send", "--from", "x", "--to", "v1") // which acknowledges it
	want := []string{
		"a b done,failed  signal", "b a   signal", "c    signal", "d a,b   signal", "po v2,v3  r-1 answers", "stuck a b", "x v2 wake  ack",
	}
	eventually(t, func() error {
		if got := waitsIn(t, u.must("waits", "--output", "json")); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
	out := u.must("waits")
	fits(t, strings.Join(sorted(out), "\n")+"\n", `
WHO +WAITS FOR +WHAT +SINCE +HOW
a +b +done,failed +.* ago +signal
b +a +any signal +.* ago +signal
c +anybody +any signal +.* ago +signal
d +a,b +any signal +.* ago +signal
po +v2,v3 +round r-1 +.* ago +answers
stuck: a waits for b waits for a
x +v2 +wake +.* ago +ack
`)
}

// Who has only posted blocks on nobody.
func TestWaitsWhoPostsIsNotStuck(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.env = append(u.env, "COORD_BEAT=200ms")
	u.must("send", "--from", "a", "--to", "b", "--type", "news", "--no-wait")
	u.start("run", "--id", "b", "--from", "a", "--type", "go")
	want := []string{"a b news  ack", "b a go  signal", "perhaps-stuck a b"}
	eventually(t, func() error {
		if got := waitsIn(t, u.must("waits", "--output", "json")); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
	const said = "perhaps stuck: a waits for b waits for a: only if whoever waits for an acknowledgement blocks for it, " +
		"and whoever waits for several answers needs them all\n"
	if out := u.must("waits"); !strings.HasSuffix(out, "\n"+said) {
		t.Errorf("said:\n%s", out)
	}
}

// waitsIn are the lines of waits, sorted: the time is theirs alone.
func waitsIn(t *testing.T, out string) (all []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var v struct {
			waitRow
			IDs []string `json:"ids"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if v.IDs != nil {
			all = append(all, v.Event+" "+strings.Join(v.IDs, " "))
			continue
		}
		if ago := time.Since(v.Since); ago < -time.Second || ago > soon {
			t.Errorf("%q began %v ago", line, ago)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s %s", v.Who, strings.Join(v.For, ","), strings.Join(v.Types, ","), v.Round, v.How))
	}
	return sortedLines(all)
}

// Who is stuck in any case is not told of a second time.
func TestAllStuck(t *testing.T) {
	rows := []waitRow{
		{Who: "a", For: []string{"b"}, How: forSignal}, {Who: "b", For: []string{"a"}, How: forAnswers}, // in any case
		{Who: "b", For: []string{"a"}, How: forAck}, {Who: "a", For: []string{"c"}, How: forAck}, {Who: "c", For: []string{"a"}, How: forAck},
		{Who: "d", For: []string{"e"}, How: forAck}, {Who: "e", For: []string{"d"}, How: forSignal}, // perhaps
		{Who: "f", For: []string{"a"}, How: forAck},
	}
	want := "[{stuck [a b]} {perhaps-stuck [d e]}]"
	if got := fmt.Sprint(allStuck(rows)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCircles(t *testing.T) {
	row := func(who, how string, on ...string) waitRow { return waitRow{Who: who, For: on, How: how} }
	for name, c := range map[string]struct {
		rows []waitRow
		want string
	}{
		"nobody":            {nil, "[]"},
		"a chain":           {[]waitRow{row("a", forAck, "b"), row("b", forSignal, "c"), row("b", forAck, "d")}, "[]"},
		"two":               {[]waitRow{row("a", forAck, "b"), row("b", forSignal, "a")}, "[[a b]]"},
		"oneself":           {[]waitRow{row("a", forAck, "a")}, "[[a]]"},
		"three":             {[]waitRow{row("b", forAck, "c"), row("c", forAck, "a"), row("a", forAck, "b")}, "[[a b c]]"},
		"either":            {[]waitRow{row("a", forSignal, "b", "c"), row("b", forSignal, "a")}, "[]"},
		"each":              {[]waitRow{row("a", forAnswers, "c", "b"), row("b", forSignal, "a")}, "[[a b]]"},
		"anybody":           {[]waitRow{row("a", forSignal), row("b", forSignal, "a")}, "[]"},
		"two circles":       {[]waitRow{row("a", forAck, "b"), row("b", forAck, "a"), row("c", forAck, "d"), row("d", forAck, "c")}, "[[a b] [c d]]"},
		"who waits for one": {[]waitRow{row("a", forAck, "b"), row("b", forAck, "c"), row("c", forAck, "b")}, "[[b c]]"},
		"the shorter":       {[]waitRow{row("a", forAck, "b", "c"), row("b", forAck, "d"), row("d", forAck, "a"), row("c", forAck, "a")}, "[[a c]]"},
	} {
		if got := fmt.Sprint(circles(c.rows)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func sortedLines(lines []string) []string { slices.Sort(lines); return lines }

func sorted(out string) []string { return sortedLines(strings.Split(strings.TrimSpace(out), "\n")) }

// A round of several may have enough with some of them. It waits for the last one surely.
func TestWaitsOfARound(t *testing.T) {
	t.Parallel()
	row := func(who, how string, on ...string) waitRow { return waitRow{Who: who, How: how, For: on} }
	b := row("b", forSignal, "a")
	for want, r := range map[string]waitRow{"perhaps-stuck": row("a", forAnswers, "b", "c"), "stuck": row("a", forAnswers, "b")} {
		if got := allStuck([]waitRow{r, b}); len(got) != 1 || got[0].Event != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
