package agree

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// The procedures are straight lines: the explorers see every choice only because there is no other.
func TestTheSourceIsAStraightLine(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := f.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			inspect(t, name)
		}
	}
}

func inspect(t *testing.T, name string) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if what := crooked(n); what != "" {
			t.Errorf("%v: %s", fset.Position(n.Pos()), what)
		}
		return true
	})
}

// crooked says what n is that a straight line has not. A map cannot be ranged over where there is none.
func crooked(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "concurrency"
	case *ast.MapType:
		return "a map"
	case *ast.ImportSpec:
		if p := strings.Trim(n.Path.Value, `"`); strings.HasPrefix(p, "sync") || strings.Contains(p, "rand") {
			return p
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && !straight[n.Sel.Name] {
			return "time." + n.Sel.Name
		}
	}
	return ""
}

var straight = map[string]bool{"Duration": true, "Hour": true}
