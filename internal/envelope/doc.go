// Package envelope is what coordinators write to the store: signed records that a person can read, the key ring that
// signs and verifies them, and the legacy format for those who still speak it.
//
// The package does no I/O, reads no clock and draws no random numbers: the time is passed in, and so are ids and
// sessions. Nothing here starts a goroutine, and nothing is shared but the ring, which is immutable. The only
// synchronisation is a sync.Pool per key that keeps HMAC states warm; it makes signing cheap and changes no result.
//
//	ring, err := envelope.NewRing("blocking", envelope.Key{Secret: secret})
//	data, err := envelope.AppendSignal(nil, ring, &envelope.Signal{ID: id, Sender: "coord-a", Receiver: "coord-b", ...})
//	...
//	s, err := envelope.OpenSignal(ring, "coord-b", data) // verified, then decoded, then checked
//	if reason := envelope.ReasonOf(err); reason != "" {
//		count(reason) // refused: step over it
//	}
//
// # The format, for a verifier in another language
//
// A sealed record is one JSON object in UTF-8 whose last two members are kid and signature, in this order, without
// space between them:
//
//	{"v":1,"id":"s-1", ... ,"kid":"1","signature":"<64 lower-case hex digits>"}
//
// The body is the exact bytes from the opening brace up to, and not including, the last 80 bytes, which must be
//
//	,"signature":"<64 lower-case hex digits>"}
//
// and the body must end in ,"kid":"<kid>" where the kid matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}. Nothing is parsed,
// sorted or written again before it is verified, so there is no canonical form to get wrong, and there is nothing
// outside the signature: whatever is put before, behind or between is refused, white space too.
//
// The signature is
//
//	hex(HMAC-SHA256(key, field("coord/v1") field(kind) field(namespace) field(place 1) ... field(place n) field(body)))
//	field(x) = the length of x in bytes as 8 bytes, big-endian, followed by x
//	key      = HKDF-SHA256(secret, salt: "coord/v1", info: namespace), 32 bytes
//
// Every field has its length before it, so no two lists of fields give the same bytes, whatever the ids contain. The
// place says whose record it is and which; together with the kind and the namespace it pins a record to the one key of
// the store under which it may stand:
//
//	kind        place
//	signal      the receiver's id
//	ack         the id of the signal's sender, the signal's id
//	heartbeat   the coordinator's id
//	member      the word members
//	cursor      the receiver's id
//	the others  what their owner passes to SealJSON
//
// Compare signatures in constant time, and use nothing of a record before its signature has been verified. Afterwards:
// v is 1; members that are not known are ignored, so do not use names that differ from these in case alone; of members
// that are there twice the last one counts; times are integers, milliseconds since 1970 UTC; an optional member that is
// empty is left out; bytes are a JSON string where they are valid UTF-8 and base64 (RFC 4648 section 4, padded) under
// the name with the suffix Base64 where they are not, never both; a signal or an ack has at most 65,536 bytes.
//
//	signal      v id senderId receiverId type timestamp incarnation session seq
//	            [to{incarnation session}] [round] [replyTo] [trace] [payload | payloadBase64]
//	ack         v signalId digest senderId receiverId incarnation session timestamp status(ok | rejected)
//	            [reason] [result | resultBase64]
//	heartbeat   v coordinatorId incarnation session seq timestamp status [waits[{since [on[]] [types[]] [round]}]]
//	member      v coordinatorId incarnation session
//	cursor      v receiverId ticket [generation]
//
// The digest that binds an acknowledgement to a signal's content is
//
//	hex(SHA-256(field(senderId) field(receiverId) field(id) field(type) field(round) field(payload)))
//
// It leaves out session and time on purpose: whoever restarts and repeats a question under its old id asks the same.
//
// testdata/vectors.json has records with the secrets that signed them, and testdata/verifier.mjs is such a verifier.
//
// # Keys
//
// The first key of a ring signs, all of them verify. Rotation without a pause: add the new key behind the old one
// everywhere, then put it first everywhere, then retire the old one when what it signed has expired: sixty days later, for
// the decision on a death, or when the last unit of work is done that was added under it.
//
// # Legacy
//
// OpenLegacy and AppendLegacy speak the legacy slot. Only they use the raw secret. See legacy.go.
package envelope
