package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	u := &user{t: t, env: []string{}} // no store, no secret, nothing
	began := time.Now()
	out := u.must("demo")
	took := time.Since(began)
	for i, s := range scenes {
		if !strings.Contains(out, fmt.Sprintf("\n%d. %s\n", i+1, s.title)) {
			t.Errorf("no scene %q", s.title)
		}
	}
	for _, want := range []string{"Signal received: wake from coord-a", "ACK from coord-b in ", "refused: forged", "refused: unsigned",
		"refused: malformed", "timeout waiting for signal after 1s", "100 signals received, each once, each acknowledged",
		fmt.Sprintf("All %d scenes turned out as told", len(scenes))} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") || took > 15*time.Second {
		t.Errorf("coloured without a terminal, or too long: %v", took)
	}
	if n := strings.Count(u.must("demo", "--output", "json", "--pace", "0"), `"ok":true`); n != len(scenes) {
		t.Errorf("%d scenes in JSON, want %d", n, len(scenes))
	}
}

// A scene that does not turn out as told makes the demonstration fail.
func TestTheDemoIsHonest(t *testing.T) {
	was := scenes
	defer func() { scenes = was }()
	scenes = []scene{{"A lie", func(*stage) error { return errors.New("it did not happen") }}}
	a := &app{streams: streams{out: io.Discard, err: io.Discard}, ctx: t.Context()}
	if err := (&demoCmd{}).Run(a); err == nil || a.fail(err) != exitError {
		t.Errorf("the demo ended with %v", err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	p := u.start("run", "--id", "coord-b", "--forever", "--metrics-addr", "127.0.0.1:0")
	await(t, &p.err, "joined")
	at := regexp.MustCompile(`metrics at (http://127\.0\.0\.1:[0-9]+/metrics)\n`).FindStringSubmatch(p.err.String())
	if at == nil {
		t.Fatalf("no address in %q", &p.err)
	}
	u.must("send", "--from", "coord-a", "--to", "coord-b")
	for _, want := range []string{"active_coordinators 1\n", "blocking_coordination_signals_handed_over_total 1\n"} {
		eventually(t, func() error { return scrape(at[1], want) })
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	u.wrong(exitError, "--metrics-addr: listen tcp", "run", "--id", "b", "--metrics-addr", "256.0.0.1:1")
}

func scrape(url, want string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && !strings.Contains(string(body), want) {
		err = fmt.Errorf("no %q in:\n%s", want, body)
	}
	return err
}

func TestVersion(t *testing.T) {
	t.Parallel()
	fits(t, at(t, "").must("version"), "coord .+ go1\\..+\n")
}
