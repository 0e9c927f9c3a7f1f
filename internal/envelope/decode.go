package envelope

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner reads the JSON that this package and JSON.stringify write: one compact object of strings and integers. It
// takes less than JSON, never more: whatever it is not sure of it leaves to encoding/json by turning bad.
type scanner struct {
	data []byte
	head string // a copy of the front of data, which the strings within it share
	name []byte // of the member that next found
	pos  int
	sep  byte // what must come before the next member
	bad  bool
}

// scan begins. headEnd begins the member that is best not kept alive by the strings before it, if that is a large one.
func scan(data []byte, headEnd string) scanner {
	n := max(len(data)-tailLen, 0)
	if n > smallHead {
		if i := bytes.Index(data, []byte(headEnd)); i >= 0 {
			n = i
		}
	}
	return scanner{data: data, head: string(data[:n]), sep: '{'}
}

const smallHead = 640 // so much is copied without a look at what it is

// next goes to the value of the next member and reports whether there is one.
func (s *scanner) next() bool {
	if s.bad || s.pos >= len(s.data) || s.data[s.pos] != s.sep {
		return false
	}
	s.pos++
	s.sep = ','
	start, end := s.quoted()
	s.name = s.data[start:end]
	s.expect(":")
	return !s.bad
}

// done reports whether all of data was read and understood.
func (s *scanner) done() bool {
	return !s.bad && s.sep == ',' && string(s.data[s.pos:]) == "}"
}

// expect steps over a literal.
func (s *scanner) expect(literal string) {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(literal)) {
		s.bad = true
		return
	}
	s.pos += len(literal)
}

// quoted steps over a string without escapes and returns where its content is; of a bad one, nowhere.
func (s *scanner) quoted() (start, end int) {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		s.bad = true
		return 0, 0
	}
	start = s.pos + 1
	end = start + plainASCII(s.data[start:])
	if end < len(s.data) && s.data[end] >= utf8.RuneSelf {
		if end = start + unescaped(s.data[start:]); !utf8.Valid(s.data[start:end]) {
			s.bad = true
			return 0, 0
		}
	}
	if end == len(s.data) || s.data[end] != '"' {
		s.bad = true
		return 0, 0
	}
	s.pos = end + 1
	return start, end
}

// unescaped is how many bytes of b come before the first that cannot stand for itself in a JSON string.
func unescaped(b []byte) int {
	for i, c := range b {
		if c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(b)
}

// plainASCII is unescaped, but stops at what is not ASCII too. It looks at eight bytes at once: a byte is flagged by its
// highest bit, and the lowest flag is always a true one.
func plainASCII(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^('"'*ones), w^('\\'*ones)
		flags := (quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w | w
		if flags &= tops; flags != 0 {
			return i + bits.TrailingZeros64(flags)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

// str reads a string without escapes.
func (s *scanner) str() string {
	start, end := s.quoted()
	if end <= len(s.head) {
		return s.head[start:end]
	}
	return string(s.data[start:end])
}

// text reads a string, with escapes or without, into bytes of its own.
func (s *scanner) text() text {
	mark := s.pos
	if start, end := s.quoted(); !s.bad {
		return append(text(nil), s.data[start:end]...)
	}
	s.pos, s.bad = mark, false
	return s.escaped()
}

// base64 reads a string of base64 into bytes of its own.
func (s *scanner) base64() []byte {
	start, end := s.quoted()
	b, err := base64.StdEncoding.AppendDecode(nil, s.data[start:end])
	s.bad = s.bad || err != nil
	return b
}

// integer reads an integer of up to 18 digits: more may not fit, and something else may follow. Both are left.
func (s *scanner) integer() int64 {
	negative := s.pos < len(s.data) && s.data[s.pos] == '-'
	if negative {
		s.pos++
	}
	n := int64(s.digits())
	if negative {
		return -n
	}
	return n
}

// digits reads up to 18 digits without a leading zero.
func (s *scanner) digits() uint64 {
	start := s.pos
	var n uint64
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		n = n*10 + uint64(s.data[s.pos]-'0')
		s.pos++
	}
	length := s.pos - start
	if length == 0 || length > 18 || length > 1 && s.data[start] == '0' {
		s.bad = true
	}
	return n
}

// instance reads the one object that is within a record, in the one form in which it is written.
func (s *scanner) instance() (w instanceWire) {
	s.expect(`{"incarnation":`)
	w.Incarnation = s.integer()
	s.expect(`,"session":`)
	w.Session = s.str()
	s.expect("}")
	return w
}

func fastSignal(data []byte) (w signalWire, ok bool) {
	s := scan(data, `,"payload`)
	for s.next() {
		switch string(s.name) {
		case "v":
			w.V = s.integer()
		case "id":
			w.ID = s.str()
		case "senderId":
			w.SenderID = s.str()
		case "receiverId":
			w.ReceiverID = s.str()
		case "type":
			w.Type = s.str()
		case "timestamp":
			w.Timestamp = s.integer()
		case "incarnation":
			w.Incarnation = s.integer()
		case "session":
			w.Session = s.str()
		case "seq":
			w.Seq = s.digits()
		case "to":
			w.To = s.instance()
		case "round":
			w.Round = s.str()
		case "replyTo":
			w.ReplyTo = s.str()
		case "trace":
			w.Trace = s.str()
		case "payload":
			w.Payload = s.text()
		case "payloadBase64":
			w.PayloadBase64 = s.base64()
		case "kid", "signature":
			s.quoted()
		default: // not known, or known to encoding/json in other letters
			return w, false
		}
	}
	return w, s.done()
}

func fastAck(data []byte) (w ackWire, ok bool) {
	s := scan(data, `,"result`)
	for s.next() {
		switch string(s.name) {
		case "v":
			w.V = s.integer()
		case "signalId":
			w.SignalID = s.str()
		case "digest":
			w.Digest = s.str()
		case "senderId":
			w.SenderID = s.str()
		case "receiverId":
			w.ReceiverID = s.str()
		case "incarnation":
			w.Incarnation = s.integer()
		case "session":
			w.Session = s.str()
		case "timestamp":
			w.Timestamp = s.integer()
		case "status":
			w.Status = s.str()
		case "reason":
			w.Reason = s.str()
		case "result":
			w.Result = s.text()
		case "resultBase64":
			w.ResultBase64 = s.base64()
		case "kid", "signature":
			s.quoted()
		default:
			return w, false
		}
	}
	return w, s.done()
}

func fastHeartbeat(data []byte) (w heartbeatWire, ok bool) {
	s := scan(data, `,"kid"`)
	for s.next() {
		switch string(s.name) {
		case "v":
			w.V = s.integer()
		case "coordinatorId":
			w.CoordinatorID = s.str()
		case "incarnation":
			w.Incarnation = s.integer()
		case "session":
			w.Session = s.str()
		case "seq":
			w.Seq = s.digits()
		case "timestamp":
			w.Timestamp = s.integer()
		case "status":
			w.Status = s.str()
		case "kid", "signature":
			s.quoted()
		default:
			return w, false
		}
	}
	return w, s.done()
}
