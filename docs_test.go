package coord_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
