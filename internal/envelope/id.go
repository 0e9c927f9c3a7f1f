package envelope

import (
	"unicode/utf8"

	"github.com/blocking-coordination/coord/internal/keys"
)

// validID is the rule for ids, types and kids. It has neither a colon nor a quote, which the legacy signature and the end
// of a record rely on.
func validID[T string | []byte](s T) bool { return keys.Valid(s) }

// lowerHex reports whether s is n lower-case hexadecimal digits.
func lowerHex[T string | []byte](s T, n int) bool {
	all := len(s) == n
	for i := 0; i < len(s); i++ {
		all = all && hexDigit[s[i]]
	}
	return all
}

// hexDigit is a table, because digits and letters come at random, which no branch predicts.
var hexDigit = func() (t [256]bool) {
	for _, c := range "0123456789abcdef" {
		t[c] = true
	}
	return t
}()

// checkIDs refuses an id or a type that breaks the rule. It names the field and never quotes the value.
func checkIDs(fields ...[2]string) error {
	for _, f := range fields {
		if !validID(f[1]) {
			return refuse(Malformed, f[0]+" breaks the rule for ids")
		}
	}
	return nil
}

// checkTexts refuses what is not UTF-8. JSON would put replacement characters there, and the reader would then see, and
// digest, something else than what was written.
func checkTexts(texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return refuse(Malformed, "a field is not valid UTF-8")
		}
	}
	return nil
}
