package coord_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store/redisstore"
)

// The table of invariants in ARCHITECTURE.md names tests that exist.
func TestTheTableOfInvariants(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := declaredTests(t)
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 30 {
		t.Fatalf("the table names %d tests only", len(names))
	}
	for _, name := range names {
		if !tests[name[1]] {
			t.Errorf("ARCHITECTURE.md names %s, which is no test", name[1])
		}
	}
}

// Every file that the documents link to is there.
func TestLinksOfTheDocuments(t *testing.T) {
	documents, _ := filepath.Glob("docs/*.md")
	link := regexp.MustCompile(`\]\(([^)#:\s"]+)\)`)
	for _, name := range append(documents, "README.md", "ARCHITECTURE.md", "CHANGELOG.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declaration.FindAllSubmatch(source, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The programs of the tutorial print what stands below them, and its test passes.
func TestTutorial(t *testing.T) {
	text, err := os.ReadFile("docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go\n(.*?)```\n(?:\n```text\n(.*?)```)?").FindAllStringSubmatch(string(text), -1)
	if len(programs) != 4 {
		t.Fatalf("%d programs", len(programs))
	}
	for i, p := range programs {
		t.Run(fmt.Sprint("program ", i+1), func(t *testing.T) {
			t.Parallel()
			if out := runProgram(t, p[1]); p[2] != "" && out != p[2] {
				t.Errorf("it prints:\n%s", out)
			}
		})
	}
}

func runProgram(t *testing.T, source string) string {
	name, args := "main.go", []string{"run"}
	if strings.Contains(source, "func Test") {
		name, args = "agent_test.go", []string{"test"}
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// What best-practices.md says of an ACL is enough for everything that a coordinator and a monitor do.
func TestACLOfBestPractices(t *testing.T) {
	text, err := os.ReadFile("docs/best-practices.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("`(~blocking:[^`]*)`").FindStringSubmatch(string(text))
	server := redistest.Start(t, redistest.WithoutPersistence())
	admin := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer admin.Close()
	allow(t, admin, strings.Fields(rules[1]))
	s, err := redisstore.Open(t.Context(), "redis://coord:pw@"+server.Addr+"/0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := openOn(t, s, coord.Config{})
	a, b := must(c.Join(t.Context(), "coord-a")), must(c.Join(t.Context(), "coord-b"))
	_ = must(b.Handle(func(context.Context, *coord.Signal) ([]byte, error) { return nil, nil }))
	must(a.Send(t.Context(), "coord-b", "wake", nil, coord.Within(time.Minute)))
	must(a.Accept(t.Context(), coord.Work{ID: "u"}))
	if err := c.Monitor().Check(t.Context()); err != nil {
		t.Error(err)
	}
	if denied := admin.Do(t.Context(), "acl", "log").Val(); len(denied.([]any)) > 0 {
		t.Errorf("denied: %v", denied)
	}
}

// allow makes a user coord with these rules and nothing else.
func allow(t *testing.T, admin *redis.Client, rules []string) {
	t.Helper()
	args := []any{"acl", "setuser", "coord", "on", ">pw", "resetkeys", "resetchannels", "-@all"}
	for _, r := range rules {
		args = append(args, r)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}
