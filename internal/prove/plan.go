package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// job is one command whose output is counted.
type job struct {
	name string // as the table names it
	args []string
	fuzz string // the target, where it is one
}

func (j job) String() string { return "go " + strings.Join(j.args, " ") }

// suite is a package with tests.
type suite struct {
	path  string
	proof bool     // it knows the flags of package proof
	text  string   // of all its test files
	count []string // the tests in those files of it that count
}

// plan is the tests of every package that counts something, and every fuzz target.
func (c config) plan(ctx context.Context) ([]job, error) {
	suites, err := c.suites(ctx)
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, s := range suites {
		if c.counts(s) {
			jobs = append(jobs, c.test(s))
		}
	}
	targets, err := c.targets(ctx, suites)
	return append(jobs, targets...), err
}

var (
	logged   = regexp.MustCompile("[\"`]counted [%0-9]") // a line of source that counts
	declared = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
)

// counts: everything in internal, where the race detector looks at less, and elsewhere what counts; drivers are played
// the protocol's trials in the tests of their own packages, which is enough for the short form.
func (c config) counts(s suite) bool {
	if strings.HasSuffix(s.path, "/internal/prove") {
		return false // these are only its own examples
	}
	return s.internal() || len(s.count) > 0 || c.long && s.proof
}

func (s suite) internal() bool { return strings.Contains(s.path+"/", "/internal/") }

func (c config) test(s suite) job {
	j := job{name: s.path, args: []string{"test", "-json", "-count=1", "-timeout=12h"}}
	years := strings.Contains(s.text, `"coord.years"`)
	if !s.internal() && (!c.long || years) {
		j.args = append(j.args, "-run=^("+strings.Join(s.count, "|")+")$")
	}
	j.args = append(j.args, s.path)
	switch {
	case years && c.years > 0:
		j.args = append(j.args, fmt.Sprintf("-coord.years=%g", c.years))
	case s.proof && s.internal() && c.steps > 0: // elsewhere the same trials are played on slower stores
		j.args = append(j.args, fmt.Sprintf("-coord.steps=%d", c.steps))
	}
	if s.proof && c.long {
		j.args = append(j.args, "-coord.long")
	}
	return j
}

const list = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}	{{.Dir}}	{{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}{{end}}`

func (c config) suites(ctx context.Context) ([]suite, error) {
	lines, err := goLines(ctx, append([]string{"list", "-f", list}, c.packages...)...)
	if err != nil {
		return nil, err
	}
	binaries, err := goLines(ctx, append([]string{"list", "-test", "-f", `{{.ImportPath}} {{join .Deps " "}}`}, c.packages...)...)
	if err != nil {
		return nil, err
	}
	var suites []suite
	for _, line := range lines {
		path, rest, _ := strings.Cut(line, "\t")
		dir, files, _ := strings.Cut(rest, "\t")
		s := suite{path: path, proof: knowsProof(binaries, path)}
		if err := s.read(dir, strings.Fields(files)); err != nil {
			return nil, err
		}
		suites = append(suites, s)
	}
	return suites, nil
}

func (s *suite) read(dir string, files []string) error {
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return err
		}
		s.text += string(b)
		if !logged.Match(b) {
			continue
		}
		for _, m := range declared.FindAllSubmatch(b, -1) {
			s.count = append(s.count, string(m[1]))
		}
	}
	return nil
}

// knowsProof reports whether the test binary of path has package proof in it, and so its flags.
func knowsProof(binaries []string, path string) bool {
	return slices.ContainsFunc(binaries, func(line string) bool {
		name, deps, _ := strings.Cut(line, " ")
		return name == path+".test" && slices.ContainsFunc(strings.Fields(deps), func(d string) bool {
			return strings.HasSuffix(d, "/internal/proof")
		})
	})
}

// targets are the fuzz targets of all packages.
func (c config) targets(ctx context.Context, suites []suite) (jobs []job, err error) {
	if c.fuzz <= 0 {
		return nil, nil
	}
	args := []string{"test", "-list=^Fuzz"}
	for _, s := range suites {
		if strings.Contains(s.text, "*testing.F)") {
			args = append(args, s.path)
		}
	}
	if len(args) == 2 {
		return nil, nil
	}
	lines, err := goLines(ctx, args...)
	var targets []string
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "ok" {
			for _, t := range targets {
				jobs = append(jobs, c.fuzzing(f[1], t))
			}
			targets = nil
		} else if strings.HasPrefix(line, "Fuzz") {
			targets = append(targets, line)
		}
	}
	return jobs, err
}

// fuzzing uses one process: there are other jobs. What is interesting is hardly made smaller, for that can take longer
// than the rest.
func (c config) fuzzing(path, target string) job {
	return job{name: path, fuzz: target, args: []string{
		"test", "-json", "-run=^$", "-fuzz=^" + target + "$", "-fuzztime=" + c.fuzz.String(),
		"-fuzzminimizetime=10x", "-parallel=1", path,
	}}
}

// goLines runs the go command and returns the lines that it prints.
func goLines(ctx context.Context, args ...string) (lines []string, err error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, complaint.Bytes())
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines, nil
}
