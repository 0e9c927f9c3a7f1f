package main

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord/internal/redistest"
)

// clientOn is a client of a private server, past coord.
func clientOn(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A forged key says nothing of how many epochs there were: nobody asks for each one below it.
func TestWorkShowWithAForgedEpoch(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	b := u.start("run", "--id", "coord-b", "--work", "--exec", "printf half > $COORD_CHECKPOINT_FILE; sleep 60")
	u.must("work", "add", "u-1", "--payload", "dig")
	awaitShown(t, u, "u-1", `checkpoint "half"`)
	await(t, &b.err, "joined")
	const forged = "blocking:decide:{work/u-1/999999999999}:decision"
	if err := clientOn(t, server).Set(t.Context(), forged, "garbage", 0).Err(); err != nil {
		t.Fatal(err)
	}
	got := u.must("work", "show", "u-1")
	for _, want := range []string{"unreadable", `payload    "dig"`, "epoch 0    given to coord-b/1", `checkpoint "half"`, "refused    epoch 999999999999: "} {
		if strings.Count(got, want) != 1 {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// An empty name is no prefix of all of them.
func TestWorkWithoutAName(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.must("work", "add", "u-1")
	u.wrong(exitUsage, "its name is empty", "work", "show", "")
	u.wrong(exitUsage, "its name is empty", "work", "add", "")
	u.wrong(exitUsage, "<unit>", "work", "show")
}

// What is added under the name of a unit that waits is refused, unless it is the same: only one of the two would be done.
func TestWorkAddOfAnother(t *testing.T) {
	t.Parallel()
	u, _ := onRedis(t)
	u.must("work", "add", "u-1", "--payload", "one")
	u.must("work", "add", "u-1", "--payload", "one")
	const waits = "taken: unit u-1 waits for its first owner, with another payload"
	u.wrong(exitError, waits, "work", "add", "u-1", "--payload", "two")
	u.wrong(exitError, waits, "work", "add", "u-1", "--payload", "one", "--progress", "90s")
	u.must("work", "add", "u-2", "--payload", "two")
	b := u.start("run", "--id", "coord-b", "--work", "--exec", "cat")
	await(t, &b.out, "Work u-1 done by coord-b, epoch 1\n")
	u.must("work", "add", "u-1", "--payload", "one")
	u.wrong(exitError, "with another payload", "work", "add", "u-1", "--payload", "two")
	awaitShown(t, u, "u-1", `result     "one"`)
}

// Two who add at the same moment do not see one another; whoever looks sees both.
func TestWorkShowOfSeveral(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	u.must("work", "add", "u-1", "--payload", "one", "--progress", "90s")
	c := clientOn(t, server)
	key, err := c.Keys(t.Context(), "blocking:{work-open}:entry:*").Result()
	if err != nil || len(key) != 1 || c.Del(t.Context(), key[0]).Err() != nil {
		t.Fatal(key, err)
	}
	u.must("work", "add", "u-1", "--payload", "two")
	got := u.must("work", "show", "u-1")
	for _, want := range []string{`"one"`, `"two"`, "payload ", "another ", "progress   1m30s"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}
