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
		{"binary with a newline inside", "\xff\n" + testSecret, []string{"", "\xff\n" + testSecret}},
		{"base64", "+/" + other + "==\n", []string{"", "+/" + other + "=="}},
		{"a passphrase with a colon", "horse:battery staple, and so on, and on", []string{"", "horse:battery staple, and so on, and on"}},
		{"what was a plain secret, in a ring", "1: k1:" + testSecret, []string{"1", "k1:" + testSecret}},
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

// A ring that is misspelt is no secret: all who read it would agree with one another, and with nobody else.
func TestAMisspeltRingIsNoSecret(t *testing.T) {
	line := "k1: " + testSecret
	for name, content := range map[string]string{
		"no space":        "k1:" + testSecret,
		"a tab":           "k1:\t" + testSecret,
		"indented":        "  " + line,
		"a mark of order": "\ufeff" + line,
		"an empty line":   "\n" + line,
		"a comment":       "# since May\n" + line + "\n",
		"two secrets":     testSecret + "\n" + testSecret + "\n",
	} {
		_, err := loadKeys(secretFile(t, content))
		if err == nil || !strings.Contains(err.Error(), "'kid: secret'") || strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who has both keys understands who has the plain secret, if it is called what it is called there.
func TestFromAPlainSecretToARing(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	b := u.start("run", "--id", "coord-b")
	await(t, &b.err, "joined")
	next := at(t, server.URL(), "COORD_SECRET_FILE="+secretFile(t, "1: "+testSecret+"\n2026: "+strings.Repeat("z", 40)+"\n"))
	next.must("send", "--from", "coord-a", "--to", "coord-b", "--timeout", "60s")
	if told := strings.Join(strings.Fields(next.must("send", "--help")), " "); !strings.Contains(told, "'1: SECRET'") {
		t.Errorf("the help does not say so: %s", told)
	}
}

func TestDoctorOnARingWithAnIDTwice(t *testing.T) {
	t.Parallel()
	u, server := onRedis(t)
	u = at(t, server.URL(), "COORD_SECRET_FILE="+secretFile(t, "k1: "+testSecret+"\nk1: "+strings.Repeat("z", 40)+"\n"))
	if code, out, _ := u.run("doctor"); code != exitError || !strings.Contains(out, "its id is there twice") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
