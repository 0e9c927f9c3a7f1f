package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// warnings are what a monitor prints. Whoever writes the third one decides at once, so that the other may not see it.
var warnings = regexp.MustCompile(`^Warning 1/3 for coord-crash: silent for [1-9][0-9.]*s
Warning 2/3 for coord-crash: silent for [1-9][0-9.]*s
(Warning 3/3 for coord-crash: silent for [1-9][0-9.]*s
)?(Dead coordinator detected: coord-crash
)?$`)

// Two monitors print the warnings, and one of them the death.
func TestMonitor(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	text := u.start(with(quick, "monitor")...)
	await(t, &text.err, `watching "blocking": a death is detected between 1.3s and 1.8s after the last heartbeat`)
	programs := u.start(with(quick, "monitor", "--output", "json")...)
	await(t, &programs.err, "watching")
	crash := u.start(with(quick, "run", "--id", "coord-crash", "--forever")...)
	await(t, &crash.err, "joined")
	crash.signal(t, syscall.SIGKILL)
	eventually(t, func() error {
		deaths := strings.Count(text.out.String(), "Dead coordinator detected: coord-crash\n") +
			strings.Count(programs.out.String(), `{"event":"dead","id":"coord-crash","incarnation":1,"silentMs":`)
		if deaths != 1 {
			return fmt.Errorf("%d deaths:\n%s%s", deaths, &text.out, &programs.out)
		}
		return nil
	})
	for _, p := range []*process{text, programs} {
		p.signal(t, syscall.SIGTERM)
		if code := p.code(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if !warnings.MatchString(text.out.String()) {
		t.Errorf("text: %s", &text.out)
	}
	for k := 1; k <= 2; k++ {
		want := fmt.Sprintf(`{"event":"warning","id":"coord-crash","incarnation":1,"warning":%d,"of":3,"silentMs":`, k)
		if strings.Count(programs.out.String(), want) != 1 {
			t.Errorf("not one %s in:\n%s", want, &programs.out)
		}
	}
	expect(t, 0, 0, u.must(with(quick, "monitor", "--once")...), "ID  INCARNATION  STATE  WARNINGS\n")
	fits(t, u.must("ls", "--all"), "ID .*\ncoord-crash +1 +- +dead +ok\n")
	everyKeyIsKnown(t, u, server, "warning", "decision-on-death", "vote-on-death", "handled", "member")
}

func TestMonitorBounds(t *testing.T) {
	t.Parallel()
	u := at(t, "redis://127.0.0.1:1")
	m := u.start("monitor")
	await(t, &m.err, `watching "blocking": a death is detected between 3m55s and 4m40s after the last heartbeat`)
	m.signal(t, syscall.SIGTERM)
	expect(t, m.code(t), 0, m.out.String(), "")
	u.wrong(exitUnavailable, "did not answer", "monitor", "--once")
}

// Who was warned about and beats again has recovered; a single look lists him.
func TestMonitorRecovered(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	slow := append(slices.Clone(quick), "--spacing", "1h")
	m := u.start(with(slow, "monitor")...)
	b := u.start(with(slow, "run", "--id", "coord-b", "--forever")...)
	await(t, &b.err, "joined")
	b.signal(t, syscall.SIGSTOP)
	await(t, &m.out, "Warning 1/3 for coord-b: silent for ")
	b.signal(t, syscall.SIGCONT)
	await(t, &m.out, "Recovered: coord-b\n")
	expect(t, 0, 0, u.must(with(slow, "monitor", "--once")...), "ID       INCARNATION  STATE    WARNINGS\ncoord-b  1            healthy  0\n")
	expect(t, 0, 0, u.must(with(slow, "monitor", "--once", "--output", "json")...),
		`{"event":"health","id":"coord-b","incarnation":1,"state":"healthy","warnings":0}`+"\n")
}

// Where nobody lives who could inherit, the monitor runs a command: it fails once, and its heir goes on from its
// checkpoint. A single look does it too.
func TestSpawn(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	a := u.start(with(quick, "run", "--id", "coord-a", "--work", "--exec", waitsAt)...)
	u.must("work", "add", "u-1", "--payload", "dig")
	awaitShown(t, u, "u-1", `checkpoint "half"`)
	m := u.start(with(quick, "monitor", "--spawn", `echo "$COORD_SELF took $COORD_UNIT from $COORD_DEAD" >&2
		if [ "$COORD_CHECKPOINT" = half ]; then printf more > "$COORD_CHECKPOINT_FILE"; exit 1; fi
		echo "$(cat) $COORD_CHECKPOINT $COORD_EPOCH"`)...)
	await(t, &m.err, "watching")
	a.signal(t, syscall.SIGKILL)
	await(t, &m.out, "Work u-1 handed over from coord-a to coord-a-recovery-1, epoch 2\n")
	await(t, &m.err, "\ncoord-a-recovery-1 took u-1 from coord-a\n")
	await(t, &m.err, "unit u-1, epoch 2: the command failed: exit status 1; handed over again in 1s\n")
	await(t, &m.out, "Work u-1 handed over from coord-a-recovery-1 to coord-a-recovery-2, epoch 3\n")
	await(t, &m.out, "Work u-1 done by coord-a-recovery-2, epoch 3\n")
	awaitShown(t, u, "u-1", `result     "dig more 3\n"`)
	m.signal(t, syscall.SIGTERM)
	if code := m.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := u.must("ls"); strings.Count(out, "\n") != 1 {
		t.Errorf("somebody is left: %s", out)
	}
}

// A monitor that is asked to stop kills its commands and leaves their units to the next one, which need look only once.
func TestSpawnStopped(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	a := u.start(with(quick, "run", "--id", "coord-a", "--work", "--exec", waitsAt)...)
	u.must("work", "add", "u-1")
	awaitShown(t, u, "u-1", `checkpoint "half"`)
	m := u.start(with(quick, "monitor", "--spawn", "echo runs >&2; sleep 60; echo slept >&2")...)
	await(t, &m.err, "watching")
	a.signal(t, syscall.SIGTERM) // nobody inherits, so the monitor goes on
	await(t, &m.err, "\nruns\n")
	m.signal(t, syscall.SIGTERM)
	if code := m.code(t); code != 0 || strings.Contains(m.err.String(), "slept") {
		t.Errorf("exit code %d", code)
	}
	out := u.must(with(quick, "monitor", "--once", "--spawn", "cat; echo $COORD_EPOCH")...)
	if !strings.Contains(out, "Work u-1 handed over from coord-a-recovery-1 to coord-a-recovery-2, epoch 3\n") {
		t.Errorf("a single look:\n%s", out)
	}
	awaitShown(t, u, "u-1", `result     "3\n"`)
}
