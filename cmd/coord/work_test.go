package main

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// quick finds a death within two seconds; a machine that is too loaded to beat every 100 ms for a whole second would
// accuse the living.
var quick = []string{"--beat", "100ms", "--ttl", "1s", "--stale", "1s", "--spacing", "200ms", "--check", "100ms"}

func with(flags []string, args ...string) []string { return append(args, flags...) }

func TestWorkAddLsShow(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	expect(t, 0, 0, u.must("work", "add", "u-1", "--payload", "dig \x1b[31m", "--progress", "90s"), "added u-1\n")
	expect(t, 0, 0, u.must("work", "ls"), "UNIT  STATE    EPOCH  OWNER\nu-1   waiting  0      -\n")
	expect(t, 0, 0, u.must("work", "show", "u-1"), `unit       u-1
state      waiting
payload    "dig \x1b[31m"
progress   1m30s
`)
	u.wrong(exitError, "no heir", "work", "add", "u-2", "--to", "coord-b")
	u.wrong(exitError, "u-3: there is no such unit", "work", "show", "u-3")
	u.wrong(exitUsage, "unit: invalid id", "work", "add", "a:b")
	b := u.start("run", "--id", "coord-b", "--work", "--claim", "0", "--exec", "cat; echo $COORD_UNIT $COORD_EPOCH $COORD_SELF")
	await(t, &b.err, "coord-b joined (incarnation 1), taking work")
	p := u.startWith([]byte("of stdin\n"), "work", "add", "u-2", "--to", "coord-b", "--payload", "-", "--output", "json")
	expect(t, p.code(t), 0, p.out.String(), `{"event":"added","unit":"u-2","epoch":1,"owner":"coord-b"}`+"\n")
	await(t, &b.out, "Work u-2 done by coord-b, epoch 1\n")
	expect(t, 0, 0, u.must("work", "show", "u-2"), `unit       u-2
state      done
payload    "of stdin\n"
epoch 0    given to coord-b/1
epoch 1    done by coord-b/1
result     "of stdin\nu-2 1 coord-b\n"
`)
	expect(t, 0, 0, u.must("work", "ls", "--output", "json"),
		`{"unit":"u-1","state":"waiting","epoch":0}`+"\n"+`{"unit":"u-2","state":"done","epoch":1,"owner":"coord-b"}`+"\n")
	b.signal(t, syscall.SIGTERM)
	expect(t, b.code(t), 0, b.out.String(), "Work u-2 done by coord-b, epoch 1\n")
}

func TestWorkFlags(t *testing.T) {
	t.Parallel()
	u := at(t, "redis://127.0.0.1:1")
	u.wrong(exitUsage, "need each other", "run", "--id", "b", "--work")
	u.wrong(exitUsage, "need each other", "run", "--id", "b", "--exec", "true")
	u.wrong(exitUsage, "takes no signals", "run", "--id", "b", "--work", "--exec", "true", "--forever")
	u.wrong(exitUsage, "must not be negative", "run", "--id", "b", "--claim=-1")
	u.wrong(exitUsage, "must be positive", "monitor", "--spawn-max", "0")
	u.wrong(exitUnavailable, "did not answer within 300ms", "work", "add", "u-1", "--timeout", "300ms")
	u.wrong(exitUnavailable, "did not answer within 300ms", "work", "ls", "--timeout", "300ms")
}

// waitsAt is a command that goes on for ever after it has written a checkpoint, if nobody has before it.
const waitsAt = `if [ -n "$COORD_CHECKPOINT" ]; then echo "$COORD_CHECKPOINT in epoch $COORD_EPOCH"; exit; fi
	printf half > "$COORD_CHECKPOINT_FILE.new"; mv "$COORD_CHECKPOINT_FILE.new" "$COORD_CHECKPOINT_FILE"; sleep 60`

// heirB: coord-a says that of itself, too.
var heirB = regexp.MustCompile(`coord-b .*heir:0`)

// SIGTERM hands over at once what a command is at, with the checkpoint that it wrote; the command is killed.
func TestStoppedWorkerHandsOver(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	a := u.start("run", "--id", "coord-a", "--work", "--exec", waitsAt)
	u.must("work", "add", "u-1", "--progress", "1h")
	awaitShown(t, u, "u-1", `checkpoint "half"`)
	b := u.start("run", "--id", "coord-b", "--work", "--exec", waitsAt)
	eventually(t, func() error {
		if got := u.must("ls"); !heirB.MatchString(got) {
			return fmt.Errorf("nobody takes over:\n%s", got)
		}
		return nil
	})
	a.signal(t, syscall.SIGTERM)
	expect(t, a.code(t), 0, a.out.String(), "Work u-1 handed over from coord-a to coord-b, epoch 2\n")
	await(t, &b.out, "Work u-1 done by coord-b, epoch 2\n")
	awaitShown(t, u, "u-1", `result     "half in epoch 2\n"`)
	everyKeyIsKnown(t, u, server, "decision-on-epoch", "vote-on-epoch", "intent", "unit", "checkpoint", "progress", "deadline")
}

func awaitShown(t *testing.T, u *user, unit, want string) {
	t.Helper()
	eventually(t, func() error {
		if got := u.must("work", "show", unit); !strings.Contains(got, want) {
			return fmt.Errorf("no %q in:\n%s", want, got)
		}
		return nil
	})
}

// A command that fails is reported, and its unit stays where it is; the others go on.
func TestFailingCommand(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--work", "--claim", "2", "--exec", `[ "$(cat)" = good ] || exit 3`)
	u.must("work", "add", "u-bad", "--payload", "bad")
	u.must("work", "add", "u-good", "--payload", "good")
	await(t, &b.err, "unit u-bad, epoch 1: the command failed: exit status 3")
	await(t, &b.out, "Work u-good done by coord-b, epoch 1\n")
	if got := u.must("work", "ls"); !strings.Contains(got, "u-bad   owned  1      coord-b\n") {
		t.Errorf("ls:\n%s", got)
	}
}

// A checkpoint that is too large is said to be, once, and the one before stands.
func TestLargeCheckpoint(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--work", "--exec", `file=$COORD_CHECKPOINT_FILE
		printf half > $file.new; mv $file.new $file; sleep 2
		head -c 2000000 /dev/zero > $file.new; mv $file.new $file; sleep 2
		printf x >> $file; sleep 2; echo looked at again >&2; sleep 60`)
	u.must("work", "add", "u-1")
	const refused = "unit u-1, epoch 1: the checkpoint has more than 1048576 bytes: the last one that had not stands\n"
	await(t, &b.err, refused)
	await(t, &b.err, "looked at again")
	awaitShown(t, u, "u-1", `checkpoint "half"`)
	b.signal(t, syscall.SIGTERM)
	b.code(t)
	if n := strings.Count(b.err.String(), refused); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, b.err.String())
	}
}

// A result that is too large, and a command that leaves a child behind with its stdout.
func TestStrangeResults(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--work", "--claim", "2", "--exec",
		`case $COORD_UNIT in u-large) head -c 2000000 /dev/zero;; *) printf '\000\377'; sleep 60 & esac`)
	u.must("work", "add", "u-large")
	u.must("work", "add", "u-child")
	await(t, &b.err, "unit u-large, epoch 1: the result has more than 1048576 bytes")
	await(t, &b.out, "Work u-child done by coord-b, epoch 1\n")
	awaitShown(t, u, "u-child", `result     "\x00\xff"`)
}
