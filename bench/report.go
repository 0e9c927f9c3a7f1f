package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
)

// row is one line of the outcome. A value that was not measured is null, and does not pass.
type row struct {
	Row   string   `json:"row"`
	Value *float64 `json:"value"`
	Bar   *float64 `json:"bar"`            // null: nothing to reach, only something to know
	Then  *float64 `json:"then,omitempty"` // what is to be reached after the bar
	Pass  *bool    `json:"pass"`
	Note  string   `json:"note,omitempty"`
	sign  string   // how the value has to stand to the bar
}

// report collects what the run finds out.
type report struct {
	pinned     string
	redis      string
	rows       []row
	contenders []*contender
}

func newReport(pinned string) *report { return &report{pinned: pinned} }

func (r *report) atMost(what string, value, bar, then float64) {
	r.judge(what, "≤", value, bar, then, value <= bar)
}

func (r *report) below(what string, value, bar, then float64) {
	r.judge(what, "<", value, bar, then, value < bar)
}

func (r *report) atLeast(what string, value, bar, then float64) {
	r.judge(what, "≥", value, bar, then, value >= bar)
}

func (r *report) judge(what, sign string, value, bar, then float64, pass bool) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		r.notMeasured(what, bar, "no figure came out")
		return
	}
	line := row{Row: what, Value: &value, Bar: &bar, Pass: &pass, sign: sign}
	if then != bar {
		line.Then = &then
	}
	r.rows = append(r.rows, line)
}

// tell is a figure without a bar.
func (r *report) tell(what string, value float64, unit string) {
	r.rows = append(r.rows, row{Row: what, Value: &value, Note: unit})
}

func (r *report) notMeasured(what string, bar float64, why string) {
	no := false
	r.rows = append(r.rows, row{Row: what, Bar: &bar, Pass: &no, Note: "not measured: " + why, sign: "≤"})
}

// broken says that a phase ended early: its rows that are missing count as one that failed.
func (r *report) broken(phase string, err error) {
	no := false
	r.rows = append(r.rows, row{Row: phase, Pass: &no, Note: "not measured to its end: " + err.Error()})
}

func (r *report) write(p plan) error {
	fmt.Print(r.text())
	if p.json != "" {
		data, err := json.MarshalIndent(r.rows, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.json, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	for _, file := range [][2]string{{p.plot, plotted(r.contenders)}, {p.growth, grown(r.contenders)}, {p.table, r.text()}} {
		if file[0] == "" {
			continue
		}
		if err := os.WriteFile(file[0], []byte(file[1]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %s, Redis %s\n\n", r.pinned, runtime.GOOS, runtime.GOARCH, runtime.Version(), r.redis)
	b.WriteString("| contender | pairs | p50 µs | p99 µs | signals/s | allocations |\n|---|---|---|---|---|---|\n")
	for _, c := range r.contenders {
		f := c.median()
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.1f | %.0f | %.1f |\n",
			c.name, c.pairs, micros(f.p50), micros(f.p99), f.perSecond, f.allocs)
	}
	b.WriteString("\n| row | value | bar | and then | |\n|---|---|---|---|---|\n")
	for _, line := range r.rows {
		b.WriteString(line.text())
	}
	return b.String()
}

func (l row) text() string {
	value, bar, then, verdict := l.Note, "", "", ""
	if l.Value != nil {
		value = strings.TrimSpace(fmt.Sprintf("%.4g %s", *l.Value, l.Note))
	}
	if l.Bar != nil {
		bar = fmt.Sprintf("%s %.4g", l.sign, *l.Bar)
	}
	if l.Then != nil {
		then = fmt.Sprintf("%.4g", *l.Then)
	}
	switch {
	case l.Pass != nil && *l.Pass:
		verdict = "pass"
	case l.Pass != nil:
		verdict = "**fail**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", l.Row, value, bar, then, verdict)
}
