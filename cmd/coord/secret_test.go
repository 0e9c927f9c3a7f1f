package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func secretFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSecretFiles(t *testing.T) {
	other := strings.Repeat("z", 40)
	for _, c := range []struct {
		name, content string
		want          []string // kid, secret, kid, secret ...
	}{
		{"bare", testSecret, []string{"", testSecret}},
		{"one newline is not part of it", testSecret + "\n", []string{"", testSecret}},
		{"a second newline is", testSecret + "\n\n", []string{"", testSecret + "\n"}},
		{"written on Windows", testSecret + "\r\n", []string{"", testSecret}},
		{"a ring of one", "2026: " + testSecret + "\n", []string{"2026", testSecret}},
		{"a ring of two, the first signs", "new: " + other + "\nold: " + testSecret, []string{"new", other, "old", testSecret}},
		{"binary", "\x00\xff" + testSecret, []string{"", "\x00\xff" + testSecret}},
	} {
		ring, err := loadKeys(secretFile(t, c.content))
		if err != nil || len(ring)*2 != len(c.want) {
			t.Errorf("%s: %d keys, %v", c.name, len(ring), err)
			continue
		}
		for i, k := range ring {
			if k.ID != c.want[2*i] || string(k.Secret) != c.want[2*i+1] {
				t.Errorf("%s: key %d has id %q and %d bytes", c.name, i, k.ID, len(k.Secret))
			}
		}
	}
}

func TestBadSecretsAreNamedWithoutBeingShown(t *testing.T) {
	const short = "hunter2-but-short"
	for _, c := range []struct{ content, want string }{
		{short, "--secret-file: the secret has 17 bytes"},
		{"", "--secret-file: the secret has 0 bytes"},
		{"k1: " + testSecret + "\nk2: " + short, "the secret in line 2 has 17 bytes"},
		{"k1: " + testSecret + "\n" + short, "line 2 is not of the form"},
	} {
		_, err := loadKeys(secretFile(t, c.content))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := loadKeys(filepath.Join(t.TempDir(), "absent")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}
