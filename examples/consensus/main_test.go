package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The test's own binary plays every part but the director's.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[3] == "-as" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestConsensus(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("no redis-server on the PATH")
	}
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	var out bytes.Buffer
	if err := direct("", &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, line := range []string{
		"validator-3 is killed",
		"validator-1: 0.90, fine: move the login to the new service",
		"validator-4: 0.75, could be smaller",
		"validator-3 is missing: dead, declared dead",
		"decided: PROCEED, 3 of 4 validators, confidence 0.85",
	} {
		if strings.Count(out.String(), line+"\n") != 1 {
			t.Errorf("%q is missing in\n%s", line, out.String())
		}
	}
}
