package main

import (
	"regexp"
	"strings"
	"testing"
)

// What a command finds in its environment is no flag of a coord that the command runs: it would wait for, send as, or
// join as somebody without being told to.
func TestTheEnvironmentOfACommandSetsNoFlag(t *testing.T) {
	t.Parallel()
	u := at(t, "redis://127.0.0.1:1")
	flags := map[string]bool{}
	for _, command := range []string{"run", "send", "wait", "waits", "gather", "serve", "monitor", "ls", "gc"} {
		for _, m := range regexp.MustCompile(`\$(COORD_[A-Z_]+)\b`).FindAllStringSubmatch(u.must(command, "--help"), -1) {
			flags[m[1]] = true
		}
	}
	if !flags["COORD_ID"] || !flags["COORD_FROM"] {
		t.Fatalf("the flags are not found: %v", flags)
	}
	told := strings.Join(strings.Fields(u.must("run", "--help")+u.must("serve", "--help")+u.must("monitor", "--help")), " ")
	names := regexp.MustCompile(`[^$](COORD_[A-Z_]+)`).FindAllStringSubmatch(told, -1)
	if len(names) < 9 {
		t.Fatalf("the environment of commands is not found: %v", names)
	}
	for _, m := range names {
		if flags[m[1]] {
			t.Errorf("%s is a flag", m[1])
		}
	}
}
