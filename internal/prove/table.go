package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// order is what comes first; whatever else is counted follows.
var order = []string{
	"steps", "runs", "interleavings", "states", "mutants", "operations", "coordinator-days", "faults", "fuzz executions",
}

// rare is how many of the rarest states are shown.
const rare = 10

// table is everything that was counted, in Markdown.
func (t *tally) table() string {
	var b strings.Builder
	b.WriteString("| what | how many | where |\n|---|---:|---|\n")
	for _, what := range t.things() {
		t.total(&b, what)
		t.bounded(&b, what)
	}
	for _, c := range t.rarest(rare) {
		row(&b, "reached: "+c.what, c.n, c.where())
	}
	return b.String()
}

func row(b *strings.Builder, what string, n int, where string) {
	fmt.Fprintf(b, "| %s | %s | %s |\n", strings.ReplaceAll(what, "|", "\\|"), grouped(n), where)
}

// things lists what was counted, in order.
func (t *tally) things() []string {
	all := slices.Clone(order)
	var others []string
	for _, c := range t.counts {
		if !slices.Contains(all, c.what) && !slices.Contains(others, c.what) {
			others = append(others, c.what)
		}
	}
	slices.Sort(others)
	return slices.DeleteFunc(append(all, others...), func(what string) bool {
		return !slices.ContainsFunc(t.counts, func(c count) bool { return c.what == what })
	})
}

// total is the sum, and what each package has of it; fuzz targets are named one by one.
func (t *tally) total(b *strings.Builder, what string) {
	var parts []count
	for _, c := range t.counts {
		if c.what != what {
			continue
		}
		at := slices.IndexFunc(parts, func(p count) bool { return p.where() == c.where() })
		if at < 0 {
			parts = append(parts, c)
		} else {
			parts[at].n += c.n
		}
	}
	slices.SortStableFunc(parts, func(a, b count) int { return b.n - a.n })
	var where []string
	for _, p := range parts {
		where = append(where, p.where()+" "+grouped(p.n))
	}
	row(b, what, t.sum(what), strings.Join(where, ", "))
}

// bounded names each exploration, and whether it was complete.
func (t *tally) bounded(b *strings.Builder, what string) {
	for _, c := range t.counts {
		if c.what != what || c.all == "" {
			continue
		}
		said := "which are all"
		if c.all == "false" {
			said = "the first of them"
		}
		_, name, _ := strings.Cut(c.test, "/")
		row(b, "– "+strings.ReplaceAll(name, "_", " "), c.n, c.where()+", "+said)
	}
}

// where is the package below the module, and the target that was fuzzed.
func (c count) where() string {
	if c.what == "fuzz executions" {
		return below(c.pkg) + " " + c.test
	}
	return below(c.pkg)
}

const module = "github.com/blocking-coordination/coord"

// below is what a package's path is called within the module.
func below(path string) string {
	if path == module {
		return "coord"
	}
	return strings.TrimPrefix(strings.TrimPrefix(path, module+"/"), "internal/")
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
