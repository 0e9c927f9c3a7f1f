package work_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// The procedures are straight lines: the simulation sees every choice only because there is no other.
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

// sets are the only maps, by name: what is in one has no order that anybody sees.
var sets = map[string]bool{"taken": true, "seen": true}

// crooked says what n is that a straight line has not.
func crooked(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "concurrency"
	case *ast.ImportSpec:
		if p := strings.Trim(n.Path.Value, `"`); strings.HasPrefix(p, "sync") || strings.Contains(p, "rand") || p == "maps" {
			return p
		}
	case *ast.RangeStmt:
		if sets[lastName(n.X)] {
			return "the order of a map"
		}
	case *ast.MapType:
		if v, ok := n.Value.(*ast.Ident); !ok || v.Name != "bool" {
			return "a map that is no set"
		}
	case *ast.SelectorExpr:
		if lastName(n.X) == "time" && clock[n.Sel.Name] {
			return "time." + n.Sel.Name
		}
	}
	return ""
}

var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
