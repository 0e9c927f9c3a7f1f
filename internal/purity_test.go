// Package internal_test holds the protocol's packages to protocol.md 9.1: straight lines over a store.
package internal_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var pure = []string{"agree", "detect", "keys", "mailbox", "round", "ticketlog", "work"}

var impureImports = map[string]bool{
	"sync": true, "sync/atomic": true, "math/rand": true, "math/rand/v2": true, "crypto/rand": true, "maps": true,
	"runtime": true, "os": true, "log": true, "log/slog": true, "net": true, "unsafe": true,
}

var impureTime = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true,
	"NewTimer": true, "NewTicker": true,
}

func TestProceduresAreStraightLines(t *testing.T) {
	for _, dir := range pure {
		fset := token.NewFileSet()
		files := parse(t, fset, dir)
		for _, fault := range faults(fset, files) {
			t.Error(fault)
		}
	}
}

func parse(t *testing.T, fset *token.FileSet, dir string) (files []*ast.File) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no source, %v", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// nothing imports nothing: a map that a package ranges over is declared in it, or comes from package maps, which is
// not allowed.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }

// faults lists what is no straight line.
func faults(fset *token.FileSet, files []*ast.File) (found []string) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: nothing{}, Error: func(error) {}}
	_, _ = conf.Check("p", fset, files, info)
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if what := fault(info, n); what != "" {
				found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
			}
			return true
		})
	}
	return found
}

func fault(info *types.Info, n ast.Node) string {
	switch n := n.(type) {
	case *ast.ImportSpec:
		if path, _ := strconv.Unquote(n.Path.Value); impureImports[path] {
			return "imports " + path
		}
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return "uses a channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "uses a channel"
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && impureTime[n.Sel.Name] {
			return "reads the clock: time." + n.Sel.Name
		}
	case *ast.RangeStmt:
		if x := info.Types[n.X].Type; x != nil {
			if _, ok := x.Underlying().(*types.Map); ok {
				return "ranges over a map"
			}
		}
	}
	return ""
}

// The reader of sources finds what it is there for.
func TestFaultsAreFound(t *testing.T) {
	for want, source := range map[string]string{
		"imports sync":       `import "sync"; var _ sync.Mutex`,
		"imports math/rand":  `import "math/rand"; var _ = rand.Int()`,
		"reads the clock":    `import "time"; var _ = time.Now()`,
		"starts a goroutine": `func f() { go f() }`,
		"uses a channel":     `func f(c chan int) { c <- 1 }`,
		"ranges over a map":  `type m map[string]int; type s struct{ m m }; func f(x *s) { for range x.m { _ = x } }`,
		"":                   `func f(m []int) { for range m { _ = m } }`,
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", "package p; "+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(faults(fset, []*ast.File{f}), "; ")
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: found %q, want %q", source, got, want)
		}
	}
}
