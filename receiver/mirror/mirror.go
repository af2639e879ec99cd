// Package mirror receives the picture: the packets of stream type 110, on a
// TCP connection that the sender opens (reference section 9).
//
// A packet is a header of 128 bytes and a payload. The payload of a picture is
// read straight into memory that the Sink leases from its decoder, decrypted
// there, and handed over as an access unit; nothing is copied and nothing is
// allocated. What a decoder does with it, when it is shown and what happens
// when that takes too long is the Sink's business: when it has no memory left
// it makes Buffer wait, the connection fills and the sender slows down.
//
// Proof: packet_test.go (captured headers), stream_test.go (whole
// sessions, split in every way, hostile sizes, pause, rotation; zero
// allocations), aead_test.go (pictures with authentication, and what is done to
// them), bench_test.go (the cost beside reading and AES-CTR alone),
// and fuzz targets for headers, codec packets and whole connections.
package mirror

import (
	"fmt"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/metric"
)

// AccessUnit is one coded picture, or what a sender sends as one.
type AccessUnit struct {
	// Data is the access unit: NAL units with 4-byte lengths, in the memory
	// of the Buffer it came in.
	Data []byte
	// Parameters is what the picture was coded with.
	Parameters *Parameters
	// New tells that Parameters differ from those of the access unit before:
	// the decoder must be given them first.
	New bool
	IDR bool // decoding can begin here

	Time    clock.Remote // the sender's stamp, on its own clock
	Begun   clock.Time   // when the header was complete
	Arrived clock.Time   // when the last byte was here
	Number  uint64       // counts from 0 on each connection
}

// Buffer is memory that a Sink lends for one access unit.
type Buffer interface {
	// Bytes is the memory, at least as long as was asked for.
	Bytes() []byte
	// Release gives it back unused.
	Release()
}

// Sink takes the pictures. Its methods are called from one goroutine, the
// first three in any order, End last.
type Sink interface {
	// Buffer lends memory for n bytes, a little more than the access unit. It
	// may wait until the decoder has some; an error ends the stream.
	Buffer(n int) (Buffer, error)
	// Picture takes over b, which holds the access unit.
	Picture(b Buffer, au *AccessUnit)
	// Pause tells that the sender has paused (locked, asleep) or goes on;
	// what comes then begins with an IDR picture.
	Pause(paused bool)
	// End tells that no more will come. The Sink stays valid for another
	// connection.
	End()
}

// Stats counts what came in. All fields may be read at any time.
type Stats struct {
	Bytes      metric.Counter // payload bytes of pictures
	Pictures   metric.Counter
	Codec      metric.Counter // codec packets
	Heartbeats metric.Counter
	Reports    metric.Counter
	Unknown    metric.Counter   // packets of a type nobody knows
	Malformed  metric.Counter   // pictures whose lengths do not add up
	Receive    metric.Histogram // from header to last byte
}

// StreamError ends a stream: the sender broke the rules, or its key is not
// ours.
type StreamError struct{ Reason string }

func (e *StreamError) Error() string { return "mirror: " + e.Reason }

func streamError(format string, args ...any) error {
	return &StreamError{fmt.Sprintf(format, args...)}
}

// Limits of what a sender may announce. The largest pictures are 4K key
// frames of a few megabytes.
const (
	MaxPicture = 8 << 20
	maxCodec   = 64 << 10
	maxIgnored = 1 << 20
	// A connection on which a packet has begun must go on within this time.
	stallLimit = 15 * time.Second
)
