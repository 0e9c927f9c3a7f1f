package redistest

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func client(t *testing.T, s *Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestKilledServerComesBackWithItsData(t *testing.T) {
	t.Parallel()
	s := Start(t, WithPassword(`pass "word`))
	c := client(t, s)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := c.Get(t.Context(), "k").Err(); err == nil {
		t.Fatal("a killed server answered")
	}
	s.Restart()
	if v, err := c.Get(t.Context(), "k").Result(); v != "v" || err != nil {
		t.Fatalf("after the restart: %q, %v", v, err)
	}
}

func TestStoppedServerIsSilentAndCleanedUp(t *testing.T) {
	t.Parallel()
	s := Start(t, WithoutPersistence(), WithConfig("maxmemory-policy", "allkeys-lru"))
	c := client(t, s)
	got, err := c.ConfigGet(t.Context(), "maxmemory-policy").Result()
	if err != nil || got["maxmemory-policy"] != "allkeys-lru" {
		t.Fatalf("%v, %v", got, err)
	}
	s.Stop()
	if s.ping() {
		t.Fatal("a stopped server answered")
	}
	s.Continue()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Stop() // and left so: Cleanup has to deal with it
}

// A test binary that dies without its cleanups must not leave servers behind.
func TestServerDiesWithTheTest(t *testing.T) {
	if os.Getenv("REDISTEST_DIE") == "1" {
		s := Start(t)
		_, _ = os.Stdout.WriteString("pid=" + strconv.Itoa(s.run.cmd.Process.Pid) + "\n")
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
	}
	Require(t)
	if dieWithParent() == nil {
		t.Skip("only on Linux")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTest$", "-test.v")
	cmd.Env = append(os.Environ(), "REDISTEST_DIE=1")
	out, _ := cmd.Output()
	_, rest, _ := strings.Cut(string(out), "pid=")
	pid, err := strconv.Atoi(strings.TrimSpace(rest))
	if err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	for deadline := time.Now().Add(patience); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redis-server %d outlives the test", pid)
		}
	}
}

// alive tells a running process from one that merely waits to be reaped.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}
