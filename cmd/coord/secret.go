package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"unicode/utf8"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/envelope"
)

const secretEnv = "BLOCKING_COORDINATION_SECRET"

// loadKeys returns the key ring of file, or else of the environment. No error shows anything of a secret.
func loadKeys(file string) ([]coord.Key, error) {
	if file == "" {
		return keysOf(secretEnv, []byte(os.Getenv(secretEnv)))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if kidLine.Match(firstLine(data)) {
		return parseRing(data)
	}
	if misspelt(data) {
		return nil, errors.New("--secret-file: neither one secret nor a ring, which is lines 'kid: secret' and nothing else; " +
			"a secret with a colon in it can be the line '1: SECRET'")
	}
	return keysOf("--secret-file", data)
}

// keysOf is a ring of one key, which came from there.
func keysOf(from string, secret []byte) ([]coord.Key, error) {
	const advice = "at least 32 bytes are needed, the same everywhere, for example from: openssl rand -hex 32"
	switch {
	case len(secret) == 0 && from == secretEnv:
		return nil, errors.New("no secret: signals are signed. Set " + secretEnv + " or --secret-file; " + advice)
	case len(secret) < envelope.MinSecret:
		return nil, fmt.Errorf("%s: the secret has %d bytes; %s", from, len(secret), advice)
	}
	return []coord.Key{{Secret: secret}}, nil
}

// kidLine is a line of a key ring. The first line decides whether a file is one.
var kidLine = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]{0,127}): +(\S.*)$`)

// parseRing reads lines "kid: secret"; the first key signs, all verify.
func parseRing(data []byte) (ring []coord.Key, err error) {
	for i, line := range bytes.Split(data, []byte("\n")) {
		found := kidLine.FindSubmatch(bytes.TrimSuffix(line, []byte("\r")))
		if found == nil {
			return nil, fmt.Errorf("--secret-file: line %d is not of the form 'kid: secret', as the first one is", i+1)
		}
		if n := len(found[2]); n < envelope.MinSecret {
			return nil, fmt.Errorf("--secret-file: the secret in line %d has %d bytes; at least 32 are needed", i+1, n)
		}
		ring = append(ring, coord.Key{ID: string(found[1]), Secret: found[2]})
	}
	return ring, nil
}

// almostRing is a lone line of a ring but for its spaces. A secret has at least 32 bytes; base64 and hex have no colon.
var almostRing = regexp.MustCompile(`^\s*[A-Za-z0-9][A-Za-z0-9._-]{0,127}\s*:\s*\S{32,}\s*$`)

// misspelt reports whether data is text that was meant for a ring: as a secret it would be nobody else's. Bytes at random
// are no text.
func misspelt(data []byte) bool {
	switch {
	case !utf8.Valid(data):
		return false
	case bytes.HasPrefix(data, []byte("\ufeff")), almostRing.Match(data):
		return true
	}
	return bytes.ContainsRune(bytes.TrimRight(data, "\r\n"), '\n')
}

func firstLine(data []byte) []byte {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}
