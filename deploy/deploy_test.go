// Package deploy_test proves what is delivered beside the code: alert rules, their tests, the dashboard.
package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blocking-coordination/coord/metrics"
)

const (
	rules     = "prometheus/alerts.yml"
	ruleTests = "prometheus/alerts_test.yml"
	dashboard = "grafana/blocking-coordination-dashboard.json"
)

// promtool returns where it is, or skips; COORD_REQUIRE_PROMTOOL=1 makes its absence a failure.
func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	switch {
	case err == nil:
		return path
	case os.Getenv("COORD_REQUIRE_PROMTOOL") == "1":
		t.Fatal("COORD_REQUIRE_PROMTOOL=1 and no promtool (Debian: package prometheus)")
	default:
		t.Skip("no promtool on PATH")
	}
	return ""
}

func TestRules(t *testing.T) {
	tool := promtool(t)
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", ruleTests}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

var (
	alertName  = regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`)
	silentTest = regexp.MustCompile(`(?m)alertname: (\w+)\n(?:\s*- eval_time|\s*\n|\z)`)
	firingTest = regexp.MustCompile(`(?m)alertname: (\w+)\n\s*exp_alerts:`)
)

// TestEveryAlertIsTested firing and silent (R17).
func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, ruleTests)
	firing, silent := captured(firingTest, tests), captured(silentTest, tests)
	alerts := captured(alertName, read(t, rules))
	if len(alerts) < 4 {
		t.Fatalf("only %v", alerts)
	}
	for _, alert := range alerts {
		if !slices.Contains(firing, alert) || !slices.Contains(silent, alert) {
			t.Errorf("%s: tested firing: %v, silent: %v", alert, slices.Contains(firing, alert), slices.Contains(silent, alert))
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:blocking_coordination|signal_delivery|timeout_events|dead_coordinator|active_coordinators)\w*\b`)

// TestMetricsExist: rules, their tests and the dashboard use only what package metrics exports.
func TestMetricsExist(t *testing.T) {
	exported := exported(t)
	for _, file := range []string{rules, ruleTests, dashboard} {
		names := metricName.FindAllString(read(t, file), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !slices.Contains(exported, name) {
				t.Errorf("%s: nobody exports %s", file, name)
			}
		}
	}
}

// TestDashboard: every panel asks something, and every expression uses a metric that is exported.
func TestDashboard(t *testing.T) {
	var d struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "blocking-coordination" || len(d.Panels) < 4 {
		t.Errorf("%s has %d panels", d.UID, len(d.Panels))
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			if !metricName.MatchString(target.Expr) || strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") {
				t.Errorf("%s: %q", p.Title, target.Expr)
			}
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s asks nothing", p.Title)
		}
	}
}

// TestExpressionsParse has promtool read the dashboard's expressions as rules.
func TestExpressionsParse(t *testing.T) {
	tool := promtool(t)
	expr := regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`)
	file := "groups:\n- name: dashboard\n  rules:\n"
	for _, quoted := range captured(expr, read(t, dashboard)) {
		file += "  - record: x\n    expr: " + strings.ReplaceAll(quoted, "$__rate_interval", "5m") + "\n"
	}
	path := t.TempDir() + "/dashboard.yml"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "check", "rules", "--lint=none", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// exported is every name that can be asked for: a histogram has three.
func exported(t *testing.T) (names []string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	if _, err := metrics.New(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		names = append(names, name)
		if f.GetMetric()[0].GetHistogram() != nil {
			names = append(names, name+"_bucket", name+"_count", name+"_sum")
		}
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func captured(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}
