package proof

import "testing"

// A name may hold what ends a word of a shell.
func TestPatternForAShell(t *testing.T) {
	if got, want := pattern("TestX/a driver's (1)"), `^TestX$/^a driver.s \(1\)$`; got != want {
		t.Errorf("pattern = %s, want %s", got, want)
	}
}
