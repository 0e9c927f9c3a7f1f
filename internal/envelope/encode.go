package envelope

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"
)

// The append functions write JSON as encoding/json does with SetEscapeHTML(false), to the byte; a test compares them.
// Members are written with a leading comma: the first one of every record is the version.

const version = 1

const versionMember = `{"v":1`

// plain holds the bytes that stand for themselves in a JSON string. 0xE2 begins U+2028 and U+2029, which are escaped.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\' && c != 0xE2
	}
	return t
}()

// appendString appends s, which is valid UTF-8, as a JSON string.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	if dst = append(dst, s...); plainASCII(dst[len(dst)-len(s):]) == len(s) { // as nearly always
		return append(dst, '"')
	}
	return appendEscaped(dst[:len(dst)-len(s)], s)
}

func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		if plain[s[i]] {
			continue
		}
		n := escapes(s, i)
		if n == 0 {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, s[i], s[i+n-1])
		i += n - 1
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// escapes returns how many bytes from i on make up one character to escape; 0 where it is an ordinary one.
func escapes[T string | []byte](s T, i int) int {
	if s[i] != 0xE2 {
		return 1
	}
	if i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xA8 {
		return 3
	}
	return 0
}

// appendEscape appends the escape of a character by its first and last byte.
func appendEscape(dst []byte, first, last byte) []byte {
	const hexDigits = "0123456789abcdef"
	switch first {
	case '"', '\\':
		return append(dst, '\\', first)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	case 0xE2:
		return append(append(dst, `\u202`...), hexDigits[last&0xF]) // U+2028, U+2029
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[first>>4], hexDigits[first&0xF])
}

// appendText appends a string member: name is `,"name":`.
func appendText(dst []byte, name, s string) []byte {
	dst = append(dst, name...)
	return appendString(dst, s)
}

// appendOptional is appendText, but leaves out what is empty.
func appendOptional(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return appendText(dst, name, s)
}

func appendInt(dst []byte, name string, n int64) []byte {
	dst = append(dst, name...)
	return strconv.AppendInt(dst, n, 10)
}

func appendUint(dst []byte, name string, n uint64) []byte {
	dst = append(dst, name...)
	return strconv.AppendUint(dst, n, 10)
}

// appendTime appends t in milliseconds since 1970.
func appendTime(dst []byte, t time.Time) []byte {
	return appendInt(dst, `,"timestamp":`, t.UnixMilli())
}

// appendBytes appends b under name as a string where it is one, else under base64Name; nothing where b is empty.
func appendBytes(dst []byte, name, base64Name string, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	if utf8.Valid(b) {
		return appendString(append(dst, name...), b)
	}
	dst = append(dst, base64Name...)
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// room is enough for what a record holds besides its strings and its bytes.
const room = 288

// sizeOf estimates the length of n bytes as a member: with some escapes, or in base64.
func sizeOf(n int) int { return n + n/3 + 8 }
