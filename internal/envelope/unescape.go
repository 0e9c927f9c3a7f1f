package envelope

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// escaped reads a string with escapes into bytes of its own.
func (s *scanner) escaped() text {
	in, ok := s.content()
	if !ok || !utf8.Valid(in) {
		s.bad = true
		return nil
	}
	out := make(text, 0, len(in))
	for {
		i := bytes.IndexByte(in, '\\')
		if i < 0 {
			return append(out, in...)
		}
		out = append(out, in[:i]...)
		var n int
		if out, n = unescape(out, in[i+1:]); n == 0 {
			s.bad = true
			return nil
		}
		in = in[i+1+n:]
	}
}

// content steps over a string and returns what is between its quotes, escapes as they are.
func (s *scanner) content() (in []byte, ok bool) {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return nil, false
	}
	start := s.pos + 1
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '\\':
			i++ // whatever is escaped does not end the string; unescape judges it
		case c == '"':
			s.pos = i + 1
			return s.data[start:i], true
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// simple maps the letter of an escape to what it stands for.
var simple = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unescape appends what the escape after a backslash stands for and returns its length; 0 where it is none, or a half
// of a pair, which is left to encoding/json.
func unescape(dst text, in []byte) (text, int) {
	if len(in) == 0 {
		return dst, 0
	}
	if c := simple[in[0]]; c != 0 {
		return append(dst, c), 1
	}
	if in[0] != 'u' || len(in) < 5 {
		return dst, 0
	}
	n, err := strconv.ParseUint(string(in[1:5]), 16, 16)
	if err != nil || utf16.IsSurrogate(rune(n)) {
		return dst, 0
	}
	return utf8.AppendRune(dst, rune(n)), 5
}
